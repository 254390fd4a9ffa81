"""What a Kustomization has put into its cluster, and what those Kustomizations put there. In: a cluster. Out: a tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.app import objects
from penstock.model import inventory
from penstock.model.resource import Manifest, ResourceId
from penstock.ports.cluster import Cluster

FLUX_GROUPS = ".toolkit.fluxcd.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One object and what it brought; `again` when what it brought is shown further up."""

    id: ResourceId
    children: tuple[Node, ...] = ()
    again: bool = False


async def tree(cluster: Cluster, namespace: str, name: str, *, compact: bool = False) -> Node:
    """The tree of a Kustomization from its inventory; `compact` keeps Flux's own objects only.

    Raises InputError when it is not there; RefusedError, TransientError.
    """
    found = await objects.get(cluster, objects.KUSTOMIZATION, namespace, name)
    return await _node(cluster, found, compact, frozenset())


async def _node(cluster: Cluster, manifest: Manifest, compact: bool, above: frozenset[ResourceId]) -> Node:
    own = ResourceId.of(manifest)
    if own in above:
        # a Kustomization may hold itself, as flux-system does
        return Node(id=own, again=True)
    children = []
    for key in inventory.parse((manifest.get("status") or {}).get("inventory")):
        if compact and not key.group.endswith(FLUX_GROUPS):
            continue
        below = await _kustomization(cluster, key)
        children.append(Node(id=key) if below is None else await _node(cluster, below, compact, above | {own}))
    return Node(id=own, children=tuple(children))


async def _kustomization(cluster: Cluster, key: ResourceId) -> Manifest | None:
    """The object of this id when it is a Kustomization of Flux that is there."""
    kind = objects.KUSTOMIZATION
    if (key.group, key.kind) != (kind.group, kind.kind):
        return None
    resource = await objects.served(cluster, kind)
    return await objects.answered(cluster, cluster.get(resource, key.namespace, key.name))


def lines(node: Node, *, ascii_only: bool = False) -> Iterator[str]:
    """The tree as text, one object a line."""
    yield _label(node)
    yield from _below(node, "", ("|-- ", "`-- ", "|   ") if ascii_only else ("├── ", "└── ", "│   "))


def _below(node: Node, pad: str, signs: tuple[str, str, str]) -> Iterator[str]:
    middle, last, bar = signs
    for position, child in enumerate(node.children):
        end = position == len(node.children) - 1
        yield pad + (last if end else middle) + _label(child)
        yield from _below(child, pad + ("    " if end else bar), signs)


def _label(node: Node) -> str:
    return f"{node.id} (shown above)" if node.again else str(node.id)
