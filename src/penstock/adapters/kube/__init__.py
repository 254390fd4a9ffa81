"""Real Kubernetes clusters: `connect` gives the `Cluster` port over HTTP; everything heavy is loaded by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.adapters.kube.client import HttpCluster
    from penstock.adapters.kube.pacing import Pace


def connect(
    kubeconfig: Path | str | None = None,
    context: str | None = None,
    *,
    name: str | None = None,
    gate: Callable[[], None] | None = None,
    pace: Pace | None = None,
) -> HttpCluster:
    """A cluster through a kubeconfig; no request is sent yet. Close it, or use it as an async context manager.

    kubeconfig: a file; None takes $KUBECONFIG, ~/.kube/config or the pod's service account. name: how messages call
    the cluster, the context's name otherwise. gate: asked before every write, and raises to stop it. pace: how fast
    requests may go, None for as fast as the server lets them. Raises InputError, RemoteError when there is no such access.
    """
    import dataclasses

    from penstock.adapters.kube import kubeconfig as kubeconfigs
    from penstock.adapters.kube.client import HttpCluster

    access = kubeconfigs.load(kubeconfig, context)
    return HttpCluster(dataclasses.replace(access, name=name) if name else access, gate=gate, pace=pace)


def connect_to(server: str, *, token: str = "", ca_path: Path | None = None, name: str = "cluster") -> HttpCluster:
    """A cluster by its address: what a sandbox or a local API server gives."""
    from penstock.adapters.kube.client import HttpCluster
    from penstock.adapters.kube.kubeconfig import Access

    ca = ca_path.read_bytes() if ca_path is not None else None
    return HttpCluster(Access(name=name, server=server.rstrip("/"), token=token, ca=ca))
