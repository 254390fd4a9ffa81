"""Sources of Flux's own controllers, of every kind: taken when they are there, watched, and not believed too easily."""

from __future__ import annotations

import hashlib

import pytest
from aiohttp import web

from penstock.controllers import artifacts, foreign
from penstock.model import flux
from penstock.model.tree import MemoryTree

PLURALS = {"OCIRepository": "ocirepositories", "Bucket": "buckets", "ExternalArtifact": "externalartifacts"}


def crd(kind):
    """As much of Flux's CRD as a consumer of `status.artifact` meets."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": free, "status": free}}
    plural = PLURALS[kind]
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.source.toolkit.fluxcd.io"},
        "spec": {
            "group": flux.SOURCE_GROUP,
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


async def install(world, kind):
    """Apply the CRD and wait until its kind is served."""
    await world.apply(crd(kind))

    async def served():
        return await world.cluster.resource(flux.SOURCE_GROUP, kind) is not None

    await world.until(served, f"{kind} served")


class Shelf:
    """Serves archives by name, as source-controller does."""

    def __init__(self):
        self.content = {}
        self.asked = []
        self.url = ""

    async def handle(self, request):
        name = request.match_info["name"]
        self.asked.append(name)
        if name not in self.content:
            raise web.HTTPNotFound
        return web.Response(body=self.content[name])

    def announced(self, revision, files, *, stored=True, digest=""):
        """The `status.artifact` of some files."""
        archive = artifacts.archive(MemoryTree({path: text.encode() for path, text in files.items()}))
        name = hashlib.sha256(revision.encode()).hexdigest()[:12] + ".tar.gz"
        if stored:
            self.content[name] = archive
        return {
            "revision": revision,
            "digest": digest or f"sha256:{hashlib.sha256(archive).hexdigest()}",
            "url": f"{self.url}/{name}",
            "path": name,
            "size": len(archive),
            "lastUpdateTime": "2026-03-02T14:00:00Z",
        }


@pytest.fixture
async def shelf():
    made = Shelf()
    app = web.Application()
    app.router.add_get("/{name}", made.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def announce(world, kind, artifact, name="other"):
    body = {
        "apiVersion": f"{flux.SOURCE_GROUP}/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": {"interval": "10m"},
    }
    await world.apply(body)
    status = {"status": {"artifact": artifact, "observedGeneration": 1}}
    await world.patch(kind, name, status, group=flux.SOURCE_GROUP, subresource="status")


@pytest.mark.parametrize("kind", PLURALS)
async def test_every_kind_is_consumed_and_a_new_revision_arrives_by_itself(world, namespaced, shelf, kind):
    await install(world, kind)
    await world.start()
    await world.kustomization(sourceRef={"kind": kind, "name": "other"})
    await announce(world, kind, shelf.announced("latest@sha256:1", {"a.yaml": namespaced("a")}))
    await world.until_applied("latest@sha256:1")
    await announce(world, kind, shelf.announced("latest@sha256:2", {"a.yaml": namespaced("a", "2")}))
    await world.until_applied("latest@sha256:2")
    assert (await world.get("ConfigMap", "a"))["data"]["k"] == "2"
    # a pass that finds nothing new fetches nothing anew
    before = len(shelf.asked)
    world.manager.reconcile(world.namespace, "app")
    await world.settled()
    assert len(shelf.asked) == before


async def test_a_kind_that_is_installed_later_is_found(world, namespaced, shelf, monkeypatch):
    if world.cluster.name == "real":
        pytest.skip("the real server is shared: its definitions stay")
    monkeypatch.setattr(foreign, "ABSENT_SECONDS", 0.2)
    resource = await world.cluster.resource("apiextensions.k8s.io", "CustomResourceDefinition")
    await world.cluster.delete(resource, "", "externalartifacts.source.toolkit.fluxcd.io")

    async def gone():
        return await world.cluster.resource(flux.SOURCE_GROUP, "ExternalArtifact") is None

    await world.until(gone, "the kind gone", seconds=60)
    await world.start()
    await world.kustomization(sourceRef={"kind": "ExternalArtifact", "name": "other"}, retryInterval="10m")
    await world.until_failed("ArtifactFailed")
    await install(world, "ExternalArtifact")
    await announce(world, "ExternalArtifact", shelf.announced("v1@sha256:1", {"a.yaml": namespaced("a")}))
    await world.until_applied("v1@sha256:1")


async def test_what_is_not_what_was_announced_is_refused_and_everything_keeps_running(world, namespaced, shelf):
    await install(world, "Bucket")
    await announce(world, "Bucket", shelf.announced("v1", {"a.yaml": namespaced("a")}))
    await world.kustomization(sourceRef={"kind": "Bucket", "name": "other"})
    await world.start()
    await world.until_applied("v1")
    await announce(world, "Bucket", shelf.announced("v2", {"a.yaml": namespaced("a", "2")}, digest="sha256:" + "0" * 64))

    async def refused():
        ready = await world.ready()
        return ready is not None and ready.status == "False" and "digest is not the announced one" in ready.message

    await world.until(refused, "the refusal")
    assert (await world.get("ConfigMap", "a"))["data"]["k"] == "1"
    await announce(world, "Bucket", shelf.announced("v3", {"a.yaml": namespaced("a", "3")}))
    await world.until_applied("v3")


async def test_an_artifact_announced_before_it_is_stored_is_tried_again_until_it_is(world, namespaced, shelf):
    await install(world, "Bucket")
    artifact = shelf.announced("v1", {"a.yaml": namespaced("a")}, stored=False)
    await announce(world, "Bucket", artifact)
    await world.kustomization(sourceRef={"kind": "Bucket", "name": "other"})
    await world.start()

    async def asked():
        return shelf.asked

    await world.until(asked, "the first try")
    shelf.announced("v1", {"a.yaml": namespaced("a")})
    await world.until_applied("v1")


async def test_sources_of_two_kinds_with_one_name_are_two(world, namespaced, shelf):
    await install(world, "Bucket")
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    await world.source("other")
    await announce(world, "Bucket", shelf.announced("v1", {"b.yaml": namespaced("b")}))
    await world.kustomization("git", sourceRef={"kind": "GitRepository", "name": "other"})
    await world.kustomization("bucket", sourceRef={"kind": "Bucket", "name": "other"})
    await world.start()
    await world.until_applied(f"main@sha1:{commit}", "git")
    await world.until_applied("v1", "bucket")
    assert await world.get("ConfigMap", "a") is not None
    assert await world.get("ConfigMap", "b") is not None
