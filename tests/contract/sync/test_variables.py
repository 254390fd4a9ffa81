"""postBuild: variables in manifests, from where they come and what they may be."""

from __future__ import annotations

import pytest


async def variables(world, kind: str, name: str, **values: str) -> None:
    part = "data" if kind == "ConfigMap" else "stringData"
    metadata = {"name": name, "namespace": world.namespace}
    await world.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, part: values})


async def data(world) -> dict[str, str]:
    return (await world.get("ConfigMap", "a"))["data"]


async def test_later_sources_win_and_inline_values_over_all(world, namespaced):
    await variables(world, "ConfigMap", "one", a="one", b="one", c="one")
    await variables(world, "Secret", "two", b="two", c="two")
    text = namespaced("a").replace("k: '1'", "a: '${a}'\n  b: '${b}'\n  c: '${c}'\n  d: '${d:=default}'\n  e: '$${kept}'")
    await world.synced(
        {"a.yaml": text},
        postBuild={
            "substituteFrom": [{"kind": "ConfigMap", "name": "one"}, {"kind": "Secret", "name": "two"}],
            "substitute": {"c": "inline"},
        },
    )
    assert await data(world) == {"a": "one", "b": "two", "c": "inline", "d": "default", "e": "${kept}"}


async def test_a_missing_source_fails_unless_it_is_optional(world, namespaced):
    commit = world.repo.commit({"a.yaml": namespaced("a", "${x:-none}")})
    await world.source()
    await world.kustomization(postBuild={"substituteFrom": [{"kind": "Secret", "name": "missing"}]})
    await world.start()
    assert "substitute from 'Secret/missing' error" in await world.until_failed("BuildFailed")
    optional = {"kind": "Secret", "name": "missing", "optional": True}
    await world.kustomization(postBuild={"substituteFrom": [optional], "substitute": {"y": "1"}})
    await world.until_applied(f"main@sha1:{commit}")
    assert await data(world) == {"k": "none"}


async def test_a_variable_that_is_not_set_fails_and_names_the_field(world, namespaced):
    world.repo.commit({"a.yaml": namespaced("a", "${missing}")})
    await world.source()
    await world.kustomization(postBuild={"substitute": {"other": "1"}})
    await world.start()
    message = await world.until_failed("BuildFailed")
    assert "missing" in message and "a.yaml" in message


@pytest.mark.parametrize(("strategy", "expected"), [("Always", "default"), ("WithVariables", "${x:=default}")])
async def test_without_variables_the_strategy_decides(world, namespaced, strategy, expected):
    await world.synced({"a.yaml": namespaced("a", "${x:=default}")}, postBuild={"substituteStrategy": strategy})
    assert await data(world) == {"k": expected}


async def test_numbers_and_booleans_stay_texts_with_quotes_of_their_own(world, namespaced):
    """The build drops quotes that a text with a variable in it does not need: Flux's users bring them along."""
    text = namespaced("a").replace("k: '1'", "n: ${quote}${n}${quote}\n  b: ${quote}${b}${quote}")
    values = {"n": "123", "b": "true", "quote": '"'}
    await world.synced({"a.yaml": text}, postBuild={"substitute": values})
    assert await data(world) == {"n": "123", "b": "true"}


async def test_an_object_can_opt_out(world, namespaced):
    mark = "  annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}\n"
    await world.synced({"a.yaml": namespaced("a", "${x}", mark)}, postBuild={"substitute": {"x": "1"}})
    assert await data(world) == {"k": "${x}"}
