"""What travels with a unit: its files, its line in the listings, and nothing of others."""

from __future__ import annotations

from penstock import source
from penstock.model.pipeline import REMAINDER
from penstock.model.tree import MemoryTree
from penstock.model.values import CommitId
from penstock.promote import change

COMMIT = CommitId("a" * 40)
SYNC = (
    "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {0}, namespace: flux-system}}\n"
    "spec: {{path: ./clusters/{0}, interval: 5m}}\n"
)
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\ndata:\n  size: '{}'\n  timeout: {}\n"


def files(**apps_by_environment: dict[str, str]) -> dict[str, bytes | str]:
    """clusters/<env> with these apps, each one file."""
    found: dict[str, bytes | str] = {}
    for name, apps in apps_by_environment.items():
        listed = "".join(f"- {app}\n" for app in apps)
        found[f"clusters/{name}/kustomization.yaml"] = b"resources:\n- flux-system\n- apps\n"
        found[f"clusters/{name}/flux-system/sync.yaml"] = SYNC.format(name).encode()
        found[f"clusters/{name}/apps/kustomization.yaml"] = f"namespace: shop\nresources:\n- namespace.yaml\n{listed}".encode()
        found[f"clusters/{name}/apps/namespace.yaml"] = b"kind: Namespace\napiVersion: v1\nmetadata: {name: shop}\n"
        for app, text in apps.items():
            found[f"clusters/{name}/apps/{app}/config.yaml"] = text.encode()
            found[f"clusters/{name}/apps/{app}/kustomization.yaml"] = b"resources:\n- config.yaml\n"
    return found


def plan(unit: str, base: dict[str, bytes | str] | None, now: dict[str, bytes | str]) -> change.Change:
    tree = MemoryTree(now)
    repository = source.discover(tree)
    pair = change.Pair(
        source=repository.by_name["dev"],
        target=repository.by_name["prod"],
        base=MemoryTree(base) if base is not None else None,
        base_commit=COMMIT if base is not None else None,
        tree=tree,
    )
    return change.plan(pair, unit, COMMIT)


def config(name: str, size: int, timeout: str = "10s") -> str:
    return CONFIG.format(name, size, timeout)


def test_a_changed_field_travels_and_the_targets_own_stay() -> None:
    before = files(dev={"web": config("web", 1)}, prod={"web": config("web", 9)})
    after = files(dev={"web": config("web", 1, "20s")}, prod={"web": config("web", 9)})
    found = plan("web", before, after)
    assert found.files == {"clusters/prod/apps/web/config.yaml": config("web", 9, "20s").encode()}
    assert (found.kind, found.conflicts) == ("update", ())


def test_a_new_app_brings_its_line_and_no_other_apps_line() -> None:
    before = files(dev={"web": config("web", 1)}, prod={"web": config("web", 9)})
    after = files(
        dev={"cron": config("cron", 1), "web": config("web", 1), "zoo": config("zoo", 1)}, prod={"web": config("web", 9)}
    )
    found = plan("cron", before, after)
    assert found.kind == "new"
    assert sorted(found.files) == [
        "clusters/prod/apps/cron/config.yaml",
        "clusters/prod/apps/cron/kustomization.yaml",
        "clusters/prod/apps/kustomization.yaml",
    ]
    listed = found.files["clusters/prod/apps/kustomization.yaml"]
    assert listed == b"namespace: shop\nresources:\n- namespace.yaml\n- cron\n- web\n"


def test_a_removed_app_takes_its_files_and_its_line() -> None:
    both = {"cron": config("cron", 1), "web": config("web", 1)}
    before = files(dev=both, prod=both)
    after = files(dev={"web": config("web", 1)}, prod=both)
    found = plan("cron", before, after)
    assert found.kind == "removal"
    assert found.files == {
        "clusters/prod/apps/cron/config.yaml": None,
        "clusters/prod/apps/cron/kustomization.yaml": None,
        "clusters/prod/apps/kustomization.yaml": b"namespace: shop\nresources:\n- namespace.yaml\n- web\n",
    }


def test_a_removed_app_goes_although_the_target_had_values_of_its_own() -> None:
    before = files(dev={"cron": config("cron", 1)}, prod={"cron": config("cron", 9)})
    after = files(dev={}, prod={"cron": config("cron", 9)})
    found = plan("cron", before, after)
    assert found.conflicts == ()
    assert found.files["clusters/prod/apps/cron/config.yaml"] is None
    assert found.files["clusters/prod/apps/kustomization.yaml"] == b"namespace: shop\nresources:\n- namespace.yaml\n"


def test_an_app_of_the_target_alone_is_left_alone() -> None:
    state = files(dev={"web": config("web", 1)}, prod={"web": config("web", 1), "special": config("special", 1)})
    assert plan("special", state, state).empty
    assert plan(REMAINDER, state, state).empty


def test_the_remainder_brings_what_belongs_to_no_app_and_no_sync_object() -> None:
    before = files(dev={"web": config("web", 1)}, prod={"web": config("web", 9)})
    after = files(dev={"new": config("new", 1), "web": config("web", 2)}, prod={"web": config("web", 9)})
    after["clusters/dev/apps/namespace.yaml"] = b"kind: Namespace\napiVersion: v1\nmetadata: {name: shop, labels: {a: b}}\n"
    after["clusters/dev/flux-system/sync.yaml"] = SYNC.format("dev").replace("5m", "1m").encode()
    text = after["clusters/dev/apps/kustomization.yaml"]
    assert isinstance(text, bytes)
    after["clusters/dev/apps/kustomization.yaml"] = text.replace(b"namespace: shop", b"namespace: shop\nnamePrefix: x-")
    found = plan(REMAINDER, before, after)
    assert sorted(found.files) == ["clusters/prod/apps/kustomization.yaml", "clusters/prod/apps/namespace.yaml"]
    listed = found.files["clusters/prod/apps/kustomization.yaml"]
    assert listed == b"namespace: shop\nnamePrefix: x-\nresources:\n- namespace.yaml\n- web\n"


def test_both_sides_changed_is_a_conflict_and_no_file() -> None:
    before = files(dev={"web": config("web", 1)}, prod={"web": config("web", 1)})
    after = files(dev={"web": config("web", 1, "20s")}, prod={"web": config("web", 1, "60s")})
    found = plan("web", before, after)
    assert [str(conflict) for conflict in found.conflicts] == ["#ConfigMap/web data.timeout"]
    assert found.files == {}
    assert not found.empty


def test_without_a_base_every_difference_is_asked_about() -> None:
    state = files(dev={"web": config("web", 1)}, prod={"web": config("web", 9)})
    assert [str(conflict) for conflict in plan("web", None, state).conflicts] == ["#ConfigMap/web data.size"]


def test_content_is_named_by_what_it_is_and_digests_by_what_is_written() -> None:
    before = files(dev={"web": config("web", 1)}, prod={"web": config("web", 9)})
    after = files(dev={"web": config("web", 1, "20s")}, prod={"web": config("web", 9)})
    other = after | {"clusters/dev/apps/namespace.yaml": b"kind: Namespace\n"}
    hand_edited = after | {"clusters/prod/apps/web/config.yaml": config("web", 7).encode()}
    assert plan("web", before, after).content == plan("web", before, other).content
    assert plan("web", before, after).content == plan("web", before, hand_edited).content
    assert plan("web", before, after).digest != plan("web", before, hand_edited).digest


def test_a_digest_tells_paths_and_contents_apart() -> None:
    assert change.digest({"a": b"bc"}) != change.digest({"ab": b"c"})
    assert change.digest({"a": b""}) != change.digest({"a": None})
    assert change.digest({"a": b"", "b": b"x"}) != change.digest({"a": b"", "b": b"y"})
