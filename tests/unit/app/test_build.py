"""What an environment applies, and the files a build writes."""

import pytest

from penstock.app import build
from penstock.model.errors import InputError
from penstock.model.tree import MemoryTree

SYNC = b"""\
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: flux-system, namespace: flux-system}
spec: {interval: 1m, url: https://example.com/fleet.git}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: dev, namespace: flux-system}
spec: {interval: 1m, path: ./clusters/dev, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}
"""
CONFIG = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
FILES: dict[str, bytes | str] = {
    "clusters/dev/kustomization.yaml": b"resources: [gotk-sync.yaml, a.yaml]\nnamespace: shop\n",
    "clusters/dev/gotk-sync.yaml": SYNC,
    "clusters/dev/a.yaml": CONFIG,
}


def test_an_environment_is_what_flux_would_apply():
    tree = MemoryTree(FILES)
    built = build.environment(tree, build.named(tree, "dev"))
    assert [f"{item.id.kind}/{item.id.name}" for item in built.objects] == [
        "GitRepository/flux-system",
        "Kustomization/dev",
        "ConfigMap/settings",
    ]


@pytest.mark.parametrize("ignore", [".sourceignore", "clusters/dev/.sourceignore"])
def test_what_the_source_leaves_out_is_not_there(ignore: str):
    tree = MemoryTree({**FILES, ignore: b"a.yaml\n"})
    with pytest.raises(InputError) as caught:
        build.environment(tree, build.named(tree, "dev"))
    assert [str(problem.where) for problem in caught.value.problems] == ["clusters/dev/kustomization.yaml:1:29"]


def test_the_spec_of_the_source_decides_too():
    sync = SYNC.replace(b"interval: 1m, url", b"ignore: '/clusters/dev/a.yaml', interval: 1m, url")
    tree = MemoryTree({**FILES, "clusters/dev/gotk-sync.yaml": sync})
    with pytest.raises(InputError):
        build.environment(tree, build.named(tree, "dev"))


def test_an_unknown_environment_names_those_that_are_there():
    with pytest.raises(InputError) as caught:
        build.named(MemoryTree(FILES), "prod")
    assert caught.value.problems[0].hint == "environments here: dev"
