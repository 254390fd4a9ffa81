"""Put into a cluster what syncing needs: the definitions of GitRepository and Kustomization, and their namespace."""

from __future__ import annotations

from penstock.controllers import installing
from penstock.ports.cluster import Cluster
from penstock.yamldoc import emitting


async def into(cluster: Cluster) -> str:
    """Install, and wait until the kinds are served; the server's version. Doing it again changes nothing.

    Raises RefusedError, TransientError.
    """
    version = await cluster.version()
    await installing.install(cluster)
    return version


def manifests() -> bytes:
    """What would be applied, as YAML."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": installing.NAMESPACE}}
    return emitting.emit_all([namespace, *installing.definitions()])
