"""Where a Kustomization applies, and as whom: this cluster or a remote one, ourselves or a service account.

In: a spec and its namespace. Out: a `Site`. Nothing falls back: an account that cannot be acted as, a kubeconfig that
cannot be read, is an error and not a call as ourselves.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

from penstock.apply.marks import Owner
from penstock.controllers.gitrepository import decoded
from penstock.controllers.live import LiveView
from penstock.controllers.remotes import RemoteKey, Remotes
from penstock.controllers.specs import KustomizationSpec
from penstock.model.errors import PenstockError, RefusedError
from penstock.ports.cluster import Cluster

_NAME_MARKS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")


class UnusableError(PenstockError):
    """There is no identity or no cluster to act on; `missing` when what names it is gone rather than wrong."""

    def __init__(self, what: str, *, missing: bool = False, final: bool = False) -> None:
        super().__init__(what)
        self.missing = missing
        self.final = final
        """Only a change of the object itself can mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One cluster as one identity."""

    base: Cluster
    """The cluster as the connection lets us in: which kinds it serves, and the watches."""
    cluster: Cluster
    """The same cluster as the identity that everything about this Kustomization's objects is done with."""
    view: LiveView
    only_of: Owner | None = None
    """Under an account, what the view knows of others' objects does not count: the account may not see them."""
    remote: bool = False


class Sites:
    """The sites of one manager."""

    def __init__(self, cluster: Cluster, view: LiveView, remotes: Remotes, default_service_account: str = "") -> None:
        self._cluster = cluster
        self._view = view
        self._remotes = remotes
        self._default = default_service_account
        self._acting: weakref.WeakKeyDictionary[Cluster, dict[str, Cluster]] = weakref.WeakKeyDictionary()
        """By connection and user; kept for as long as the connection, because each knows which kinds are served."""

    def account(self, spec: KustomizationSpec) -> str:
        """The name of the service account to act as; '' for ourselves."""
        return spec.service_account or self._default

    async def site(self, spec: KustomizationSpec, owner: Owner) -> Site:
        """Raises UnusableError, RemoteError."""
        base, view, remote = self._cluster, self._view, False
        key = kubeconfig_key(spec, owner.namespace)
        if key is not None:
            found = await self._remotes.get(key, await self._kubeconfig(key))
            base, view, remote = found.cluster, found.view, True
        account = self.account(spec)
        if not account:
            return Site(base=base, cluster=base, view=view, remote=remote)
        if not account.strip() or not set(account) <= _NAME_MARKS:
            raise UnusableError(f"cannot act as the service account '{account}'", final=True)
        user = f"system:serviceaccount:{owner.namespace}:{account}"
        return Site(base=base, cluster=self._as(base, user), view=view, only_of=owner, remote=remote)

    def _as(self, base: Cluster, user: str) -> Cluster:
        known = self._acting.setdefault(base, {})
        if user in known:
            return known[user]
        acting_as = getattr(base, "acting_as", None)
        if acting_as is None:
            raise UnusableError(f"cannot act as '{user}' in {base.name}", final=True)
        known[user] = acting_as(user)
        return known[user]

    async def account_exists(self, spec: KustomizationSpec, namespace: str) -> bool:
        """Whether the account to act as is there; asked before finalising, when its namespace may be going away."""
        account = self.account(spec)
        if not account:
            return True
        resource = await self._cluster.resource("", "ServiceAccount", "v1")
        return resource is not None and await self._cluster.get(resource, namespace, account) is not None

    async def _kubeconfig(self, key: RemoteKey) -> bytes:
        namespace, name, entry = key
        shown = f"{namespace}/{name}"
        resource = await self._cluster.resource("", "Secret", "v1")
        found = await self._cluster.get(resource, namespace, name) if resource is not None else None
        if found is None:
            raise UnusableError(f"unable to read KubeConfig secret '{shown}' error: Secret \"{name}\" not found", missing=True)
        try:
            data = decoded(found)
        except RefusedError as error:
            raise UnusableError(f"unable to read KubeConfig secret '{shown}' error: {error.what}") from None
        for candidate in (entry,) if entry else ("value", "value.yaml"):
            if candidate in data:
                return data[candidate]
        wanted = entry or "value"
        raise UnusableError(f"KubeConfig secret '{shown}' does not contain a '{wanted}' key with a kubeconfig")


def kubeconfig_key(spec: KustomizationSpec, namespace: str) -> RemoteKey | None:
    """The Secret of spec.kubeConfig; None where the cluster is this one. Raises UnusableError."""
    if spec.kube_config is None:
        return None
    reference = spec.kube_config.get("secretRef")
    if not reference:
        raise UnusableError(
            "invalid .spec.kubeConfig, neither .spec.kubeConfig.provider nor .spec.kubeConfig.secretRef is set", final=True
        )
    return (namespace, str(reference.get("name") or ""), str(reference.get("key") or ""))
