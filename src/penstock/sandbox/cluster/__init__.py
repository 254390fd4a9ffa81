"""A small Kubernetes-compatible API server for one environment: the default cluster of `penstock up` and of the tests.

    async with cluster.serve(folder, name="dev") as server:
        server.url, server.token, server.ca_path, server.kubeconfig()

What it emulates, and what it answers 'not in the sandbox' to, is listed in docs/reference/sandbox.md.

How a request travels: `http` (URL, headers) -> `api` (the verbs) -> `normalizing`/`customs` (shape), `defaulting`,
`validating` -> `ownership` on `fieldsets` (managedFields, server-side apply) -> `store` (SQLite, revision, change log) ->
`watching` (streams) and `controllers` (workloads, garbage collection, namespaces).
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.sandbox.cluster.serving import Server

__all__ = ["serve"]


def serve(
    state: Path, *, name: str, port: int = 0, rollout_seconds: float = 1.0, workloads: bool = True
) -> AbstractAsyncContextManager[Server]:
    """Run a sandbox cluster on loopback; see `serving.serve`. Heavy imports happen here, not at package import."""
    from penstock.sandbox.cluster import serving

    return serving.serve(state, name=name, port=port, rollout_seconds=rollout_seconds, workloads=workloads)
