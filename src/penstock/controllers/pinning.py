"""Which remote cluster a Kustomization applies to: pinned when it is first used, by the uid of its kube-system namespace.

In: a site, and the pin that stands on the Kustomization. Out: the pin to write, or an error. A kubeconfig that was swapped
with another's, or an address behind which another cluster was put, would otherwise get one cluster's objects applied to,
and pruned from, another.
"""

from __future__ import annotations

from penstock.controllers.acting import Site, UnusableError
from penstock.model import flux
from penstock.model.errors import RefusedError


async def pin(site: Site, pinned: str) -> str:
    """The pin to write, '' when there is nothing to write: it is written, or the cluster does not say who it is.

    `pinned`: what stands on the Kustomization, '' for nothing. Raises UnusableError for another cluster than that,
    RemoteError when it does not answer.
    """
    if not site.remote:
        return ""
    uid = await _uid(site)
    if not uid or uid == pinned:
        return ""
    if pinned:
        what = f"spec.kubeConfig leads to another cluster than before (kube-system {uid}, not {pinned})"
        raise UnusableError(f"{what}; to follow it, annotate this Kustomization with {flux.CLUSTER}={uid}", final=True)
    return uid


async def _uid(site: Site) -> str:
    try:
        namespaces = await site.base.resource("", "Namespace", "v1")
        found = await site.base.get(namespaces, "", "kube-system") if namespaces is not None else None
    except RefusedError:
        # a kubeconfig with narrow rights may not read it: then the certificate alone tells clusters apart
        return ""
    return str(((found or {}).get("metadata") or {}).get("uid") or "")
