"""In which order objects are applied and pruned.

In: ids. Out: a sort key, Flux's order, and the stage an object belongs to. Stages are barriers: everything of one is in
the cluster (and CRDs and Namespaces are ready) before the next begins; inside a stage all goes in parallel.
"""

from __future__ import annotations

from collections.abc import Collection

from penstock.model.resource import ResourceId

_FIRST = (
    "CustomResourceDefinition",
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "PriorityClass",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
)
_LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_RANKS = {kind: index - len(_FIRST) for index, kind in enumerate(_FIRST)} | {kind: 1 + index for index, kind in enumerate(_LAST)}

_GROUND_KINDS = {("rbac.authorization.k8s.io", "Role"), ("", "ServiceAccount"), ("", "ResourceQuota"), ("", "LimitRange")}

DEFINITIONS, CLASSES, GROUNDS, REST, GATES = range(5)
"""Stages: what others are made of; classes; what others need to be let in; all else; what could refuse all else."""


def key(id: ResourceId) -> tuple[int, str, str, str, str]:  # noqa: A002 - what the house calls it
    """Sorts into the order of applying; pruning goes the other way."""
    return (_RANKS.get(id.kind, 0), id.group, id.kind, id.namespace, id.name)


def stage(id: ResourceId, custom: Collection[tuple[str, str]] = ()) -> int:  # noqa: A002 - what the house calls it
    """The stage of an object; `custom`: further kinds (group, kind) to be there before the rest.

    Flux knows three (definitions, classes, the rest). Two more cost nothing: a RoleBinding is refused while its Role is
    missing, and a webhook applied beside the objects it guards can refuse them.
    """
    if (id.group, id.kind) in (
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("", "Namespace"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
    ):
        return DEFINITIONS
    if id.kind.endswith("Class"):
        return CLASSES
    if (id.group, id.kind) in _GROUND_KINDS or (id.group, id.kind) in custom:
        return GROUNDS
    if id.group == "admissionregistration.k8s.io":
        return GATES
    return REST
