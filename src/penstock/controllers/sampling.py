"""Which new objects need a dry-run of their own, and which another's speaks for.

In: objects to validate. Out: groups of objects that the server is certain to judge alike (`apply.alike`). Only objects
that are not in the cluster for sure are grouped: what exists is compared with what is there, one by one. And only where
nobody but the API server judges: a webhook or a policy may look at any value.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from penstock.apply import alike
from penstock.apply.planning import Desired
from penstock.controllers.live import LiveView
from penstock.model.errors import RemoteError
from penstock.ports.cluster import ApiResource, Cluster

_ADMISSION = "admissionregistration.k8s.io"
_WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_BINDINGS = ("ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBinding")
WORTH = 16
"""Fewer new objects of a kind in a namespace are dry-run one by one: finding out costs requests too."""

Kinds = Mapping[tuple[str, str], ApiResource]


async def groups(
    cluster: Cluster, view: LiveView, members: Sequence[Desired], coming: Collection[str]
) -> tuple[tuple[Desired, ...], ...]:
    """Groups of at least two of `members`; the rest is in none. `coming`: namespaces that are not there yet."""
    unknown = [each for each in members if each.id not in view.objects]
    if len(unknown) < WORTH:
        return ()
    try:
        kinds = await _kinds(cluster, unknown)
        judged = await _judged_by_others(cluster, kinds)
        new = await _new(cluster, [each for each in unknown if (each.id.group, each.id.kind) not in judged], coming, kinds)
    except RemoteError:
        # not allowed to look, or no answer: what is not known is not taken for granted
        return ()
    found: dict[str, list[Desired]] = {}
    for each in new:
        if (shape := alike.shape(each.manifest)) is not None:
            found.setdefault(shape, []).append(each)
    return tuple(tuple(group) for group in found.values() if len(group) > 1)


async def _kinds(cluster: Cluster, members: Iterable[Desired]) -> Kinds:
    found = {}
    for group, kind in sorted({(each.id.group, each.id.kind) for each in members}):
        resource = await cluster.resource(group, kind)
        if resource is not None:
            found[group, kind] = resource
    return found


async def _judged_by_others(cluster: Cluster, kinds: Kinds) -> Collection[tuple[str, str]]:
    """The kinds that a webhook or a policy has a say in."""
    for kind in _BINDINGS:
        if await _all(cluster, kind):
            return kinds
    rules = [
        rule
        for kind in _WEBHOOKS
        for item in await _all(cluster, kind)
        for webhook in item.get("webhooks") or ()
        for rule in webhook.get("rules") or ()
    ]
    return {key for key, resource in kinds.items() if any(_covers(rule, resource) for rule in rules)}


async def _all(cluster: Cluster, kind: str) -> Sequence[Mapping[str, Any]]:
    resource = await cluster.resource(_ADMISSION, kind)
    return (await cluster.list(resource)).items if resource is not None else ()


def _covers(rule: Mapping[str, Any], resource: ApiResource) -> bool:
    groups = rule.get("apiGroups") or ()
    resources = rule.get("resources") or ()
    return ("*" in groups or resource.group in groups) and any(
        each.partition("/")[0] in ("*", resource.plural) for each in resources
    )


async def _new(cluster: Cluster, members: Iterable[Desired], coming: Collection[str], kinds: Kinds) -> list[Desired]:
    """Those that are not in the cluster: their namespace is not, or a complete list of their kind does not have them."""
    places: dict[tuple[str, str, str], list[Desired]] = collections.defaultdict(list)
    found: list[Desired] = []
    for each in members:
        if each.id.namespace in coming:
            found.append(each)
        elif each.id.namespace:
            places[each.id.group, each.id.kind, each.id.namespace].append(each)
    for (group, kind, namespace), candidates in places.items():
        resource = kinds.get((group, kind))
        if resource is None or len(candidates) < WORTH:
            continue
        listed = await cluster.list(resource, namespace, metadata_only=True)
        there = {str(item["metadata"]["name"]) for item in listed.items}
        found += [each for each in candidates if each.id.name not in there]
    return found
