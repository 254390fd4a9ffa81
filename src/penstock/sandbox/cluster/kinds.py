"""Which kinds the cluster serves: the built-in ones as one table, and those that CRDs add while it runs.

In: the table below and stored CustomResourceDefinitions. Out: a `Registry` that answers "what is at this URL?" and the
discovery documents kubectl reads. A `Kind` is one version of one resource; its objects are stored once, under `key`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.sandbox.cluster.schema import Node, builtin_node

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One served version of a resource."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    schema: Node = field(compare=False, repr=False)
    crd: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """The CustomResourceDefinition this kind comes from, None for a built-in kind."""
    preferred: bool = True
    """Whether this is the version clients should use by default."""

    @property
    def key(self) -> str:
        """Where its objects are stored: the same for every version of a resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def has_status(self) -> bool:
        """Whether status is written through its own subresource only."""
        return "status" in self.subresources

    @property
    def has_generation(self) -> bool:
        """Whether metadata.generation counts the changes of its specification."""
        return self.crd is not None or self.key in GENERATIONS

    @property
    def qualified(self) -> str:
        """deployments.apps, as error messages name it."""
        return self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table below."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    subresources: tuple[str, ...]


def _rows(table: str) -> Iterator[Row]:
    api_version = ""
    for line in table.strip().splitlines():
        if not line.startswith(" "):
            api_version = line
            continue
        kind, plural, scope, short, categories, subresources = (part.strip() for part in line.split("|"))
        yield Row(
            api_version=api_version,
            kind=kind,
            plural=plural,
            namespaced=scope == "ns",
            short_names=tuple(short.split()),
            categories=tuple(categories.split()),
            subresources=tuple(subresources.split()),
        )


# kind | plural | ns: namespaced | short names | categories | subresources
_TABLE = """
v1
  Namespace                        | namespaces                        | -  | ns       |                | status finalize
  Node                             | nodes                             | -  | no       |                | status
  PersistentVolume                 | persistentvolumes                 | -  | pv       |                | status
  ConfigMap                        | configmaps                        | ns | cm       |                |
  Endpoints                        | endpoints                         | ns | ep       |                |
  Event                            | events                            | ns | ev       |                |
  LimitRange                       | limitranges                       | ns | limits   |                |
  PersistentVolumeClaim            | persistentvolumeclaims            | ns | pvc      |                | status
  Pod                              | pods                              | ns | po       | all            | status eviction
  PodTemplate                      | podtemplates                      | ns |          |                |
  ReplicationController            | replicationcontrollers            | ns | rc       | all            | status scale
  ResourceQuota                    | resourcequotas                    | ns | quota    |                | status
  Secret                           | secrets                           | ns |          |                |
  Service                          | services                          | ns | svc      | all            | status
  ServiceAccount                   | serviceaccounts                   | ns | sa       |                |
apps/v1
  ControllerRevision               | controllerrevisions               | ns |          |                |
  DaemonSet                        | daemonsets                        | ns | ds       | all            | status
  Deployment                       | deployments                       | ns | deploy   | all            | status scale
  ReplicaSet                       | replicasets                       | ns | rs       | all            | status scale
  StatefulSet                      | statefulsets                      | ns | sts      | all            | status scale
batch/v1
  CronJob                          | cronjobs                          | ns | cj       | all            | status
  Job                              | jobs                              | ns |          | all            | status
autoscaling/v2
  HorizontalPodAutoscaler          | horizontalpodautoscalers          | ns | hpa      | all            | status
networking.k8s.io/v1
  Ingress                          | ingresses                         | ns | ing      |                | status
  IngressClass                     | ingressclasses                    | -  |          |                |
  NetworkPolicy                    | networkpolicies                   | ns | netpol   |                |
policy/v1
  PodDisruptionBudget              | poddisruptionbudgets              | ns | pdb      |                | status
rbac.authorization.k8s.io/v1
  ClusterRole                      | clusterroles                      | -  |          |                |
  ClusterRoleBinding               | clusterrolebindings               | -  |          |                |
  Role                             | roles                             | ns |          |                |
  RoleBinding                      | rolebindings                      | ns |          |                |
scheduling.k8s.io/v1
  PriorityClass                    | priorityclasses                   | -  | pc       |                |
storage.k8s.io/v1
  StorageClass                     | storageclasses                    | -  | sc       |                |
  CSIDriver                        | csidrivers                        | -  |          |                |
node.k8s.io/v1
  RuntimeClass                     | runtimeclasses                    | -  |          |                |
coordination.k8s.io/v1
  Lease                            | leases                            | ns |          |                |
discovery.k8s.io/v1
  EndpointSlice                    | endpointslices                    | ns |          |                |
apiextensions.k8s.io/v1
  CustomResourceDefinition         | customresourcedefinitions         | -  | crd crds | api-extensions | status
admissionregistration.k8s.io/v1
  MutatingWebhookConfiguration     | mutatingwebhookconfigurations     | -  |          | api-extensions |
  ValidatingWebhookConfiguration   | validatingwebhookconfigurations   | -  |          | api-extensions |
  ValidatingAdmissionPolicy        | validatingadmissionpolicies       | -  |          | api-extensions | status
  ValidatingAdmissionPolicyBinding | validatingadmissionpolicybindings | -  |          | api-extensions |
apiregistration.k8s.io/v1
  APIService                       | apiservices                       | -  |          | api-extensions | status
"""
BUILTIN_ROWS = tuple(_rows(_TABLE))

# Kinds whose strategy counts generations (facts, probed on a real API server); the others never show the field.
GENERATIONS = frozenset(
    {
        "customresourcedefinitions.apiextensions.k8s.io",
        "daemonsets.apps",
        "deployments.apps",
        "replicasets.apps",
        "statefulsets.apps",
        "replicationcontrollers",
        "cronjobs.batch",
        "horizontalpodautoscalers.autoscaling",
        "jobs.batch",
        "ingresses.networking.k8s.io",
        "ingressclasses.networking.k8s.io",
        "networkpolicies.networking.k8s.io",
        "poddisruptionbudgets.policy",
        "priorityclasses.scheduling.k8s.io",
        "pods",
        "endpointslices.discovery.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    }
)


def builtin_kinds() -> list[Kind]:
    """Every built-in kind, in table order."""
    kinds = []
    for row in BUILTIN_ROWS:
        group, _, version = row.api_version.rpartition("/")
        kinds.append(
            Kind(
                group=group,
                version=version,
                kind=row.kind,
                plural=row.plural,
                singular=row.kind.lower(),
                namespaced=row.namespaced,
                short_names=row.short_names,
                categories=row.categories,
                subresources=row.subresources,
                schema=builtin_node(group, version, row.kind),
            )
        )
    return kinds


class Registry:
    """Every kind now served, by URL and by kind name."""

    def __init__(self) -> None:
        self._builtin = builtin_kinds()
        self._custom: dict[str, list[Kind]] = {}
        self._by_plural: dict[tuple[str, str, str], Kind] = {}
        self._index()

    def _index(self) -> None:
        self._by_plural = {(kind.group, kind.version, kind.plural): kind for kind in self.all()}

    def all(self) -> Iterable[Kind]:
        yield from self._builtin
        for kinds in self._custom.values():
            yield from kinds

    def set_custom(self, crd_name: str, kinds: list[Kind]) -> None:
        """The versions a CRD serves now; an empty list takes it out of service."""
        if kinds:
            self._custom[crd_name] = kinds
        else:
            self._custom.pop(crd_name, None)
        self._index()

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_plural.get((group, version, plural))

    def by_kind(self, group: str, kind: str, version: str = "") -> Kind | None:
        """The kind of this name; without a version, the preferred one."""
        for candidate in self.all():
            if (candidate.group, candidate.kind) == (group, kind) and (
                candidate.version == version or (not version and candidate.preferred)
            ):
                return candidate
        return None

    def by_key(self, key: str) -> Kind | None:
        """The preferred version of a stored resource."""
        for candidate in self.all():
            if candidate.key == key and candidate.preferred:
                return candidate
        return None

    def serves_group(self, group: str, version: str) -> bool:
        return any(kind.group == group and kind.version == version for kind in self.all())

    def group_versions(self) -> dict[str, list[str]]:
        """Versions of every group, the preferred first; the core group is ''."""
        found: dict[str, list[str]] = {}
        for kind in self.all():
            versions = found.setdefault(kind.group, [])
            if kind.version not in versions:
                versions.append(kind.version)
        return {group: sorted(versions, key=version_order) for group, versions in found.items()}


def version_order(version: str) -> tuple[int, int, int, str]:
    """Sort key of the Kubernetes version priority: v2, v1, v2beta1, v1beta2, v1alpha1, then anything else by name."""
    body = version.removeprefix("v")
    for rank, marker in enumerate(("", "beta", "alpha")):
        major, found, minor = body.partition(marker) if marker else (body, "", "0")
        if version.startswith("v") and major.isdigit() and minor.isdigit() and (found or not marker):
            return rank, -int(major), -int(minor), ""
    return 3, 0, 0, version


def api_resource_list(registry: Registry, group: str, version: str) -> dict[str, Any]:
    """The legacy discovery document of one group version."""
    resources: list[dict[str, Any]] = []
    for kind in registry.all():
        if (kind.group, kind.version) != (group, version):
            continue
        entry: dict[str, Any] = {
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(VERBS),
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        resources.append(entry)
        resources += [_subresource(kind, name) for name in kind.subresources]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


_SUBRESOURCE_KINDS = {"scale": ("autoscaling", "v1", "Scale"), "eviction": ("policy", "v1", "Eviction")}


def _subresource(kind: Kind, name: str) -> dict[str, Any]:
    group, version, kind_name = _SUBRESOURCE_KINDS.get(name, ("", "", kind.kind))
    entry: dict[str, Any] = {
        "name": f"{kind.plural}/{name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": kind_name,
        "verbs": {"eviction": ["create"], "finalize": ["update"]}.get(name, ["get", "patch", "update"]),
    }
    if group:
        entry |= {"group": group, "version": version}
    return entry


def api_group_list(registry: Registry) -> dict[str, Any]:
    """The legacy document at /apis."""
    groups = [api_group(registry, group) for group in registry.group_versions() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(registry: Registry, group: str) -> dict[str, Any]:
    versions = [{"groupVersion": f"{group}/{v}", "version": v} for v in registry.group_versions()[group]]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def aggregated_discovery(registry: Registry, *, core: bool) -> dict[str, Any]:
    """The one-document discovery (apidiscovery.k8s.io/v2) of /api or of /apis."""
    items = []
    for group, versions in registry.group_versions().items():
        if bool(group) == core:
            continue
        items.append(
            {
                "metadata": {"name": group} if group else {"creationTimestamp": None},
                "versions": [
                    {"version": version, "resources": _aggregated_resources(registry, group, version), "freshness": "Current"}
                    for version in versions
                ],
            }
        )
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_resources(registry: Registry, group: str, version: str) -> list[dict[str, Any]]:
    resources = []
    for kind in registry.all():
        if (kind.group, kind.version) != (group, version):
            continue
        entry: dict[str, Any] = {
            "resource": kind.plural,
            "responseKind": {"group": group, "version": version, "kind": kind.kind},
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "singularResource": kind.singular,
            "verbs": list(VERBS),
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        if kind.subresources:
            entry["subresources"] = [
                {
                    "subresource": name,
                    "responseKind": dict(
                        zip(("group", "version", "kind"), _SUBRESOURCE_KINDS.get(name, (group, version, kind.kind)), strict=True)
                    ),
                    "verbs": _subresource(kind, name)["verbs"],
                }
                for name in kind.subresources
            ]
        resources.append(entry)
    return resources
