"""What a Kubernetes API does to a reconciler, one test for each row of the catalogue that no other file has.

Elsewhere: A02 test_drift, A03 to A07 and A18 test_faults, A13 to A16 test_force and the unit tests of immutability, A17
test_drift (a fight ends), A22 test_prune, A24 test_prune_refused, A26 test_drift, A27 and A34 test_dead_cluster, A28
test_impersonation, A29 test_leadership, A31 and A32 the unit tests of kstatus and test_health.
"""

from __future__ import annotations

import contextlib
import json

import pytest
import yaml

from penstock.adapters.kube import refusals
from penstock.model import flux
from penstock.model import inventory as inventories

REAL = pytest.mark.parametrize("cluster", [pytest.param("real", marks=pytest.mark.real)], indirect=True)


class Between:
    """Calls `meddle(verb, method, path, options)` before each request of ours; what it returns is the answer, None lets
    the request through."""

    def __init__(self, cluster, meddle) -> None:
        self._transport = cluster._transport
        self._meddle = meddle
        self.real = self._transport.request

    def __enter__(self):
        self._transport.request = self._request
        return self

    def __exit__(self, *_):
        self._transport.request = self.real

    async def _request(self, verb, method, path, **options):
        answer = await self._meddle(self.real, verb, method, path, options)
        return answer if answer is not None else await self.real(verb, method, path, **options)


def entries(status) -> set[str]:
    return {entry["id"] for entry in (status.get("inventory") or {}).get("entries") or ()}


def definition(group: str, *versions: str) -> str:
    served = "".join(
        f"  - name: {version}\n    served: true\n    storage: {str(version == versions[-1]).lower()}\n"
        "    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}\n"
        for version in versions
    )
    return (
        f"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: things.{group}}}\nspec:\n"
        f"  group: {group}\n  names: {{kind: Thing, listKind: ThingList, plural: things, singular: thing}}\n"
        f"  scope: Namespaced\n  versions:\n{served}"
    )


def thing(world, version: str = "v1") -> str:
    return (
        f"apiVersion: {world.namespace}.example.com/{version}\nkind: Thing\n"
        f"metadata: {{name: t, namespace: {world.namespace}}}\nspec: {{size: 1}}\n"
    )


async def test_a01_an_inventory_that_somebody_widened_meanwhile_is_not_overwritten(world, namespaced):
    """Another process of ours (an old leader, Flux) added an object while this one was in the middle of a pass."""
    await world.synced({"a.yaml": namespaced("a")})
    labels = {flux.OWNER_NAME: "app", flux.OWNER_NAMESPACE: world.namespace}
    metadata = {"name": "theirs", "namespace": world.namespace, "labels": labels}
    done = False

    async def meddle(real, verb, method, path, options):
        nonlocal done
        if not done and method == "PATCH" and path.endswith("/configmaps/b") and "dryRun" not in options["params"]:
            done = True
            with stepping_aside:
                await world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, manager="kustomize-controller")
                known = (await world.status())["inventory"]["entries"]
                widened = [*known, {"id": f"{world.namespace}_theirs__ConfigMap", "v": "v1"}]
                change = {"status": {"inventory": {"entries": widened}}}
                await world.patch(flux.KUSTOMIZATION, "app", change, group=flux.KUSTOMIZE_GROUP, subresource="status")

    between = Between(world.cluster, meddle)
    stepping_aside = _aside(between)
    with between:
        status = await world.until_applied(world.push({"b.yaml": namespaced("b")}))
        await world.settled()
    assert done
    await world.gone("ConfigMap", "theirs")
    status = await world.status()
    assert entries(status) == {f"{world.namespace}_{name}__ConfigMap" for name in "ab"}


@contextlib.contextmanager
def _aside(between: Between):
    between._transport.request = between.real
    try:
        yield
    finally:
        between._transport.request = between._request


async def test_a08_a_kind_whose_group_does_not_answer_is_neither_missing_nor_gone(world, namespaced):
    group = f"{world.namespace}.example.com"
    await world.apply(yaml.safe_load(definition(group, "v1")))
    await world.until(lambda: world.cluster.resource(group, "Thing"), "served")
    await world.synced({"t.yaml": thing(world), "a.yaml": namespaced("a")})

    async def meddle(real, verb, method, path, options):
        if path != "/apis":
            return None
        status, content = await real(verb, method, path, **options)
        document = json.loads(content)
        for item in document.get("items", ()):
            if (item.get("metadata") or {}).get("name") == group:
                for version in item["versions"]:
                    version["freshness"], version["resources"] = "Stale", []
        return status, json.dumps(document).encode()

    with Between(world.cluster, meddle):
        world.cluster.forget_kinds()
        world.push({"t.yaml": None})
        message = await world.until_failed(flux.RECONCILIATION_FAILED)
        assert "unknown for now" in message
        assert f"{world.namespace}_t_{group}_Thing" in entries(await world.status())
    await world.until_applied(world.push({"a.yaml": namespaced("a", "2")}))
    assert await world.get("Thing", "t", group=group) is None


async def test_a10_objects_of_a_definition_that_somebody_deleted_are_settled(world, namespaced):
    group = f"{world.namespace}.example.com"
    await world.apply(yaml.safe_load(definition(group, "v1")))
    await world.until(lambda: world.cluster.resource(group, "Thing"), "served")
    await world.synced({"t.yaml": thing(world), "a.yaml": namespaced("a")})
    await world.delete("CustomResourceDefinition", f"things.{group}", group="apiextensions.k8s.io")

    async def gone() -> bool:
        world.cluster.forget_kinds()
        return await world.cluster.resource(group, "Thing") is None

    await world.until(gone, "no such kind")
    status = await world.until_applied(world.push({"t.yaml": None}))
    assert entries(status) == {f"{world.namespace}_a__ConfigMap"}


async def test_a11_another_version_of_an_object_is_the_same_object(world, namespaced):
    group = f"{world.namespace}.example.com"
    await world.synced({"crd.yaml": definition(group, "v1alpha1", "v1"), "t.yaml": thing(world, "v1alpha1")})
    before = await world.there("Thing", "t", group=group)
    status = await world.until_applied(world.push({"t.yaml": thing(world, "v1")}))
    after = await world.there("Thing", "t", group=group)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    versions = {entry["id"]: entry["v"] for entry in status["inventory"]["entries"]}
    assert versions[f"{world.namespace}_t_{group}_Thing"] == "v1"
    # the cluster stops serving the old one
    await world.until_applied(world.push({"crd.yaml": definition(group, "v1"), "a.yaml": namespaced("a")}))
    assert (await world.there("Thing", "t", group=group))["metadata"]["uid"] == before["metadata"]["uid"]


@REAL
async def test_a12_a_namespace_that_is_going_is_waited_for_and_not_a_lack_of_rights(world):
    """Nobody finishes its deletion here: a real server without a namespace controller."""
    other = f"{world.namespace}-going"
    space = await world.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    await world.delete("Namespace", other)
    assert space["metadata"]["name"] == other
    world.repo.commit({"in.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: in, namespace: {other}}}\n"})
    await world.source()
    await world.kustomization()
    await world.start()
    message = await world.until_failed(flux.RECONCILIATION_FAILED)
    assert "being terminated" in message
    assert "forbidden: User" not in message


@REAL
async def test_a19_a_quota_that_only_the_nth_object_meets_leaves_no_orphan(world, namespaced):
    """Each object passes its dry-run alone; together they do not fit."""
    await world.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "few", "namespace": world.namespace},
            "spec": {"hard": {"count/secrets": "3"}},
        }
    )
    used = {"status": {"hard": {"count/secrets": "3"}, "used": {"count/secrets": "0"}}}
    await world.patch("ResourceQuota", "few", used, subresource="status")
    secrets = {
        f"s{number}.yaml": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s{number}, namespace: {world.namespace}}}\n"
        for number in range(6)
    }
    world.repo.commit({**secrets, "a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization(annotations={flux.PRUNE_GUARD: "disabled"})
    await world.start()
    message = await world.until_failed(flux.RECONCILIATION_FAILED)
    assert "exceeded quota: few" in message
    there = [number for number in range(6) if await world.get("Secret", f"s{number}") is not None]
    assert 0 < len(there) <= 3
    assert {f"{world.namespace}_s{number}__Secret" for number in there} <= entries(await world.status())
    status = await world.until_applied(world.push(dict.fromkeys(secrets)))
    assert entries(status) == {f"{world.namespace}_a__ConfigMap"}
    for number in range(6):
        assert await world.get("Secret", f"s{number}") is None


async def test_a23_an_object_made_anew_between_the_look_and_the_delete_stays(world, namespaced):
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")})
    done = False

    async def meddle(real, verb, method, path, options):
        nonlocal done
        if not done and method == "DELETE" and path.endswith("/configmaps/b"):
            done = True
            with _aside(between):
                await world.delete("ConfigMap", "b")
                metadata = {"name": "b", "namespace": world.namespace}
                await world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "mine"}})

    between = Between(world.cluster, meddle)
    with between:
        status = await world.until_applied(world.push({"b.yaml": None}))
    assert done
    assert (await world.get("ConfigMap", "b"))["data"] == {"k": "mine"}
    assert entries(status) == {f"{world.namespace}_a__ConfigMap"}


async def test_a25_an_item_twice_in_a_list_is_named_and_nothing_is_applied(world, namespaced):
    world.repo.commit(
        {
            "a.yaml": namespaced("a"),
            "d.yaml": (
                f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d, namespace: {world.namespace}}}\n"
                "spec:\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec:\n"
                "      containers:\n      - name: c\n        image: x\n"
                "        env: [{name: A, value: '1'}, {name: A, value: '2'}]\n"
            ),
        }
    )
    await world.source()
    await world.kustomization()
    await world.start()
    message = await world.until_failed(flux.RECONCILIATION_FAILED)
    assert "d.yaml" in message
    assert 'duplicate entries for key [name="A"]' in message
    assert await world.get("ConfigMap", "a") is None


async def test_a30_an_inventory_that_no_server_would_store_is_refused_before_anything_is_applied(world, namespaced, monkeypatch):
    monkeypatch.setattr(inventories, "LARGEST_BYTES", 400)
    world.repo.commit({f"{name}.yaml": namespaced(f"a-rather-long-name-{name}") for name in "abcdefgh"})
    await world.source()
    await world.kustomization()
    await world.start()
    message = await world.until_failed(flux.RECONCILIATION_FAILED)
    assert "the inventory of 8 objects is too big" in message
    assert await world.get("ConfigMap", "a-rather-long-name-a") is None
    assert entries(await world.status()) == set()


@pytest.mark.parametrize("number", range(1, 5))
async def test_a20_whichever_write_is_refused_the_inventory_has_all_that_were_not(world, namespaced, number):
    """The k-th apply and all after it are refused for good (by a policy, a quota), for every k."""
    await world.synced({"x.yaml": namespaced("x")}, retryInterval="1h", annotations={flux.PRUNE_GUARD: "disabled"})
    left = number

    async def meddle(real, verb, method, path, options):
        nonlocal left
        if method == "PATCH" and "/configmaps/" in path and "dryRun" not in (options.get("params") or {}):
            left -= 1
            if left <= 0:
                body = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no more of these"}
                raise refusals.error(403, body, f"apply {path}")

    with Between(world.cluster, meddle):
        world.push({f"{name}.yaml": namespaced(name) for name in "abcd"})
        message = await world.until_failed(flux.RECONCILIATION_FAILED)
        await world.settled()
    assert message.count("no more of these") == 5 - number
    there = {name for name in "abcd" if await world.get("ConfigMap", name) is not None}
    assert len(there) == number - 1
    assert {f"{world.namespace}_{name}__ConfigMap" for name in there} <= entries(await world.status())
    status = await world.until_applied(world.push({f"{name}.yaml": None for name in "abcd"}))
    assert entries(status) == {f"{world.namespace}_x__ConfigMap"}
    for name in there:
        assert await world.get("ConfigMap", name) is None
