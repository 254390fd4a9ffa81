"""One suite, two backends: the sandbox cluster, and kube-apiserver with etcd."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster_clients import Client, Twins

from penstock.adapters.kube.local import LocalApiServer
from penstock.sandbox import cluster

BACKENDS = ["sandbox", pytest.param("real", marks=pytest.mark.real)]


@pytest.fixture(params=BACKENDS)
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    """A client of each backend in turn, with a namespace of its own."""
    async with aiohttp.ClientSession() as session:
        if request.param == "sandbox":
            async with _sandbox(tmp_path, session) as client:
                yield client
        else:
            request.node.user_properties.append(("real part", "kube-apiserver + etcd"))
            async with _real(request.getfixturevalue("real_apiserver"), tmp_path, session) as client:
                yield client


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Client]:
    """The sandbox alone: what a bare API server has not (controllers, garbage collection, refusals of its own)."""
    async with aiohttp.ClientSession() as session, _sandbox(tmp_path, session) as client:
        yield client


@pytest.fixture
async def twins(real_apiserver: LocalApiServer, tmp_path: Path) -> AsyncIterator[Twins]:
    """Both, to be asked the same and to answer the same."""
    async with (
        aiohttp.ClientSession() as session,
        _sandbox(tmp_path, session, controllers=False) as ours,
        _real(real_apiserver, tmp_path, session, namespace=ours.namespace) as theirs,
    ):
        yield Twins(ours, theirs)


@asynccontextmanager
async def _sandbox(folder: Path, session: aiohttp.ClientSession, *, controllers: bool = True) -> AsyncIterator[Client]:
    async with cluster.serve(folder / "sandbox", name="sandbox", rollout_seconds=0, workloads=controllers) as server:
        config = server.write_kubeconfig(folder / "sandbox.kubeconfig")
        client = Client("sandbox", server.url, server.token, server.ca_path, config, session)
        await _namespace(client, "")
        yield client


@asynccontextmanager
async def _real(
    server: LocalApiServer, folder: Path, session: aiohttp.ClientSession, *, namespace: str = ""
) -> AsyncIterator[Client]:
    config = folder / "real.kubeconfig"
    config.write_text(json.dumps(server.kubeconfig()))
    client = Client("real", server.url, server.token, server.ca_path, config, session)
    await _namespace(client, namespace)
    yield client


async def _namespace(client: Client, name: str) -> None:
    client.namespace = name or f"t-{secrets.token_hex(5)}"
    await client.ok("POST", "/api/v1/namespaces", {"metadata": {"name": client.namespace}})
