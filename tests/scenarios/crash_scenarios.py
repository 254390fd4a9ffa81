"""What happens while the process is killed: a state before, a change, and what the world is to be afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.contract.sync.conftest import World, config_map

from penstock.model import flux

Files = dict[str, str | None]
"""Paths to content, None for a file that goes."""


def maps(namespace: str, folder: str = "", **names: str) -> Files:
    """A ConfigMap for each name."""
    return {f"{folder}{name}.yaml": config_map(name, namespace, data) for name, data in names.items()}


def gone(*names: str) -> Files:
    return {f"{name}.yaml": None for name in names}


def secret(namespace: str, value: str) -> str:
    return (
        f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: {namespace}\n"
        f"  annotations: {{kustomize.toolkit.fluxcd.io/force: enabled}}\nimmutable: true\nstringData: {{k: '{value}'}}\n"
    )


def definition(namespace: str) -> str:
    """A CRD of a group of this world's own."""
    return f"""\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: things.{namespace}.example.com}}
spec:
  group: {namespace}.example.com
  names: {{kind: Thing, listKind: ThingList, plural: things, singular: thing}}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {{size: {{type: integer, maximum: 5}}}}
"""


def thing(namespace: str, size: int = 1) -> str:
    return (
        f"apiVersion: {namespace}.example.com/v1\nkind: Thing\n"
        f"metadata: {{name: t, namespace: {namespace}}}\nspec: {{size: {size}}}\n"
    )


def namespace_file(name: str) -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"


async def _nothing(world: World) -> None:
    pass


async def _hold_with_finalizer(world: World) -> None:
    await world.patch("ConfigMap", "b", {"metadata": {"finalizers": ["example.com/slow"]}})


async def _delete_app(world: World) -> None:
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The process dies between the change and the end."""

    before: Callable[[str], Files] = lambda _: {"none.yaml": ""}
    """By the namespace of the world."""
    change: Callable[[str], Files] = lambda _: {}
    fix: Callable[[str], Files] | None = None
    """What is committed after the death; without it the change itself is to be finished. With it the change fails."""
    spec: dict[str, Any] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    """With more than one Kustomization: 'app' reads the first folder, 'app-2' the second."""
    prepare: Callable[[World], Awaitable[None]] = _nothing
    act: Callable[[World], Awaitable[None]] = _nothing
    """Beside the commit."""
    deleted: bool = False
    """Whether the Kustomization itself is to be gone at the end, with all its objects."""
    left: tuple[str, ...] = ()
    """Names of objects that stay in the cluster by their own mark although Git no longer has them."""


SCENARIOS: dict[str, Scenario] = {
    "create": Scenario(change=lambda n: maps(n, a="1", b="1", c="1")),
    "update": Scenario(before=lambda n: maps(n, a="1", b="1"), change=lambda n: maps(n, a="2", b="2")),
    "prune": Scenario(before=lambda n: maps(n, a="1", b="1", c="1"), change=lambda _: gone("b", "c")),
    "rename": Scenario(before=lambda n: maps(n, a="1", x="1"), change=lambda n: {**gone("a"), **maps(n, z="1")}),
    "create, update and prune at once": Scenario(
        before=lambda n: maps(n, a="1", b="1", x="1"), change=lambda n: {**gone("a"), **maps(n, b="2", c="1", d="1")}
    ),
    "kind changes": Scenario(
        before=lambda n: maps(n, a="1", x="1"),
        change=lambda n: {
            "a.yaml": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: {n}}}\nstringData: {{k: v}}\n"
        },
    ),
    "namespace with contents": Scenario(
        before=lambda n: maps(n, x="1"),
        change=lambda n: {"ns.yaml": namespace_file(f"{n}-new"), "in.yaml": config_map("inside", f"{n}-new")},
    ),
    "definition and object of it": Scenario(
        before=lambda n: maps(n, x="1"),
        change=lambda n: {"crd.yaml": definition(n), "thing.yaml": thing(n), **maps(n, y="1")},
    ),
    "everything but one": Scenario(before=lambda n: maps(n, a="1", b="1", c="1", d="1"), change=lambda _: gone("a", "b", "c")),
    "everything": Scenario(
        before=lambda n: maps(n, a="1", b="1", c="1"), change=lambda _: {**gone("a", "b", "c"), "none.yaml": ""}
    ),
    "immutable with force": Scenario(
        before=lambda n: {"s.yaml": secret(n, "1"), **maps(n, x="1")}, change=lambda n: {"s.yaml": secret(n, "2")}
    ),
    "a marked object leaves": Scenario(
        before=lambda n: {
            **maps(n, x="1"),
            "k.yaml": config_map("k", n, extra="  annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}\n"),
        },
        change=lambda _: gone("k"),
        left=("k",),
    ),
    "a finalizer holds what goes": Scenario(
        before=lambda n: maps(n, a="1", b="1", c="1"),
        prepare=_hold_with_finalizer,
        change=lambda n: {**gone("b"), **maps(n, c="2")},
    ),
    "an object moves to another owner": Scenario(
        folders=("one", "two"),
        before=lambda n: {**maps(n, "one/", a="1", m="1"), **maps(n, "two/", x="1")},
        change=lambda n: {**gone("one/m"), **maps(n, "two/", m="2")},
    ),
    "the second stage fails": Scenario(
        before=lambda n: maps(n, x="1"),
        change=lambda n: {"crd.yaml": definition(n), "thing.yaml": thing(n, 9), **maps(n, y="1")},
        fix=lambda n: {"crd.yaml": definition(n), "thing.yaml": None, **gone("y"), **maps(n, z="1")},
    ),
    "a failed revision is taken back": Scenario(
        before=lambda n: maps(n, x="1"),
        change=lambda n: {"ns.yaml": namespace_file(f"{n}-new"), "crd.yaml": definition(n), "thing.yaml": thing(n, 9)},
        fix=lambda n: {"ns.yaml": None, "crd.yaml": None, "thing.yaml": None},
    ),
    "the app is deleted": Scenario(before=lambda n: maps(n, a="1", b="1", c="1"), act=_delete_app, deleted=True),
    "health is waited for": Scenario(
        spec={"wait": True},
        before=lambda n: maps(n, a="1"),
        change=lambda n: maps(n, a="2", b="1"),
    ),
}
