"""What an object is called: group, kind, namespace, name. Never its version, which a cluster may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]
"""A Kubernetes object as plain JSON values: dict, list, str, int, float, bool, None."""


@dataclass(frozen=True, slots=True, order=True)
class ResourceId:
    """The identity of an object across versions; cluster-scoped objects have namespace ''."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """kubectl's way for people: Kind/namespace/name, or Kind/name without a namespace."""
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)

    @property
    def inventory_id(self) -> str:
        """Flux's inventory entry id, <namespace>_<name>_<group>_<kind> (cli-utils object.ObjMetadata).

        RBAC names may hold ':', which cli-utils writes as '__'.
        """
        return f"{self.namespace}_{self.name.replace(':', '__')}_{self.group}_{self.kind}"

    @classmethod
    def from_inventory_id(cls, text: str) -> ResourceId:
        """Parse an inventory entry id. Raises ValueError when it is not one."""
        namespace, _, rest = text.partition("_")
        rest, _, kind = rest.rpartition("_")
        name, separator, group = rest.rpartition("_")
        if not separator or not kind or not name:
            raise ValueError(f"not an inventory id: {text!r}")
        return cls(group, kind, namespace, name.replace("__", ":"))

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> ResourceId:
        """The identity a manifest states; missing parts are ''."""
        group, _version = split_api_version(str(manifest.get("apiVersion") or ""))
        metadata = manifest.get("metadata")
        if not isinstance(metadata, Mapping):
            metadata = {}
        return cls(group, str(manifest.get("kind") or ""), str(metadata.get("namespace") or ""), str(metadata.get("name") or ""))


def split_api_version(api_version: str) -> tuple[str, str]:
    """('apps', 'v1') of 'apps/v1', ('', 'v1') of 'v1'."""
    group, separator, version = api_version.rpartition("/")
    return (group, version) if separator else ("", api_version)


def join_api_version(group: str, version: str) -> str:
    """'apps/v1' of ('apps', 'v1'), 'v1' of ('', 'v1')."""
    return f"{group}/{version}" if group else version
