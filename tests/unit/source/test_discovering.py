"""What directories alone say about the pipeline."""

from __future__ import annotations

from penstock import source
from penstock.model.pipeline import REMAINDER
from penstock.model.tree import MemoryTree

KUSTOMIZATION = b"resources: []\n"
SYNC = b"""\
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: fleet, namespace: flux-system}
spec: {url: https://git.example.com/fleet.git}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: dev, namespace: flux-system}
spec:
  path: ./clusters/dev
  sourceRef: {kind: GitRepository, name: fleet}
"""


def tree(*names: str, **more: bytes) -> MemoryTree:
    return MemoryTree({f"clusters/{name}/kustomization.yaml": KUSTOMIZATION for name in names} | more)


def test_usual_names_are_ordered_and_each_is_promoted_from_the_one_before() -> None:
    found = source.discover(tree("prod", "staging", "dev", "qa"))
    assert [(env.name, env.promote_from) for env in found.environments] == [
        ("dev", ()),
        ("qa", ("dev",)),
        ("staging", ("qa",)),
        ("prod", ("staging",)),
    ]


def test_nothing_is_promoted_into_a_name_whose_place_is_not_known() -> None:
    found = source.discover(tree("dev", "prod", "prod-eu", "blue"))
    assert [(env.name, env.promote_from) for env in found.environments][1:] == [("prod", ("dev",)), ("blue", ()), ("prod-eu", ())]
    assert [problem.code for problem in found.problems if problem.code == "UnknownOrder"] == ["UnknownOrder"]


def test_a_directory_without_kustomization_is_no_environment() -> None:
    files = {"clusters/dev/kustomization.yml": KUSTOMIZATION, "clusters/notes/readme.yaml": b"a: b\n"}
    assert [env.name for env in source.discover(MemoryTree(files)).environments] == ["dev"]


def test_apps_are_units_and_the_remainder_is_one() -> None:
    files = {
        "clusters/dev/kustomization.yaml": KUSTOMIZATION,
        "clusters/dev/apps/kustomization.yaml": b"resources: [web, api]\n",
        "clusters/dev/apps/web/a.yaml": b"",
        "clusters/dev/apps/api/a.yaml": b"",
    }
    found = source.discover(MemoryTree(files))
    assert [unit.name for unit in found.environments[0].units] == ["api", "web", REMAINDER]
    assert found.environments[0].units[1].directories == ("clusters/dev/apps/web",)
    assert found.apps() == ("api", "web")


def test_the_flux_objects_of_an_environment_are_found_with_their_places() -> None:
    files = {"clusters/dev/kustomization.yaml": KUSTOMIZATION, "clusters/dev/flux-system/gotk-sync.yaml": SYNC}
    environment = source.discover(MemoryTree(files)).environments[0]
    assert environment.kustomization is not None
    assert str(environment.kustomization.place) == "clusters/dev/flux-system/gotk-sync.yaml:6:1"
    assert environment.source is not None
    assert environment.source.spec["url"] == "https://git.example.com/fleet.git"


def test_an_environment_that_nothing_syncs_is_a_warning() -> None:
    found = source.discover(tree("dev"))
    assert [(problem.code, problem.severity) for problem in found.problems] == [("NoSync", "warning")]


def test_a_repository_without_environments_says_how_to_start() -> None:
    found = source.discover(MemoryTree({"README.md": b"hello"}))
    assert found.environments == ()
    assert [problem.code for problem in found.problems] == ["NoEnvironments"]
    assert "penstock init" in str(found.problems[0])


def test_broken_yaml_beside_the_flux_objects_is_a_problem_with_its_line() -> None:
    files = {
        "clusters/dev/kustomization.yaml": KUSTOMIZATION,
        "clusters/dev/flux-system/gotk-sync.yaml": SYNC,
        "clusters/dev/flux-system/broken.yaml": b"# kustomize.toolkit.fluxcd.io\na: [b\n",
    }
    found = source.discover(MemoryTree(files))
    assert [str(problem.where) for problem in found.problems] == ["clusters/dev/flux-system/broken.yaml:3:1"]
    assert found.environments[0].kustomization is not None
