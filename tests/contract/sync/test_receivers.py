"""Flux's Receivers: a push on the forge reaches the cluster as fast as Git can fetch it, and nobody else gets further."""

from __future__ import annotations

import contextlib
import hmac
import json
import time

import aiohttp
import pytest

from penstock.controllers import hooks, receiving
from penstock.model import condition as conditions
from penstock.model import flux

TOKEN = "a long random token"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "receivers.notification.toolkit.fluxcd.io"},
    "spec": {
        "group": "notification.toolkit.fluxcd.io",
        "names": {"kind": "Receiver", "listKind": "ReceiverList", "plural": "receivers", "singular": "receiver"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


@pytest.fixture
async def receiving_world(world, monkeypatch):
    """A world that serves webhooks, on a cluster that has Flux's Receivers."""
    monkeypatch.setattr(receiving, "_ABSENT_SECONDS", 0.2)
    await world.apply(CRD)
    world.options["hooks"] = registered = hooks.Hooks()
    async with contextlib.AsyncExitStack() as stack:
        world.hooks_url = await stack.enter_async_context(hooks.serve(registered))
        world.client = await stack.enter_async_context(aiohttp.ClientSession())
        await world.secret("token", token=TOKEN)
        yield world
        await world.kill()


async def receiver(world, name="push", **spec):
    resources = [{"kind": "GitRepository", "name": "fleet"}]
    await world.apply(
        {
            "apiVersion": "notification.toolkit.fluxcd.io/v1",
            "kind": "Receiver",
            "metadata": {"name": name, "namespace": world.namespace},
            "spec": {"type": "github", "secretRef": {"name": "token"}, "resources": resources, **spec},
        }
    )


async def ready(world, name="push", status="True"):
    async def look():
        found = await world.get("Receiver", name, group=flux.NOTIFICATION_GROUP)
        condition = conditions.of(found).get("Ready")
        return found if condition is not None and condition.status == status else None

    return await world.until(look, f"Receiver {name} Ready={status}")


async def call(world, path, body=None, token=TOKEN, **headers):
    content = json.dumps(body or {"ref": "refs/heads/main"}).encode()
    signature = hmac.new(token.encode(), content, "sha256").hexdigest()
    given = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": "push", **headers}
    async with world.client.post(world.hooks_url + path, data=content, headers=given) as answer:
        return answer.status


async def test_a_push_told_by_a_webhook_is_applied_without_waiting_for_the_interval(receiving_world, namespaced):
    world = receiving_world
    await world.synced({"a.yaml": namespaced("a")})
    await receiver(world)
    path = (await ready(world))["status"]["webhookPath"]
    assert path == receiving.webhook_path(TOKEN, "push", world.namespace)
    commit = world.repo.commit({"a.yaml": namespaced("a", "2")})
    started = time.monotonic()
    assert await call(world, path, {"ref": "refs/heads/main", "after": commit}) == 202
    await world.until_applied(f"main@sha1:{commit}")
    print(f"from webhook to applied: {time.monotonic() - started:.2f} s")


async def test_only_the_secret_opens_and_only_the_objects_of_its_namespace_are_reached(receiving_world, namespaced):
    world = receiving_world
    revision = await world.synced({"a.yaml": namespaced("a")})
    await receiver(world)
    await receiver(world, "elsewhere", resources=[{"kind": "GitRepository", "name": "fleet", "namespace": "other"}])
    path = (await ready(world))["status"]["webhookPath"]
    refused = await ready(world, "elsewhere", "False")
    assert conditions.of(refused).get("Ready").reason == "AccessDenied"
    assert await call(world, receiving.webhook_path(TOKEN, "elsewhere", world.namespace)) == 403
    world.repo.commit({"a.yaml": namespaced("a", "2")})
    assert await call(world, path, token="wrong") == 403
    assert await call(world, path[:-1] + ("1" if path.endswith("0") else "0")) == 403
    await world.settled()
    assert (await world.status())["lastAppliedRevision"] == revision


async def test_a_receiver_follows_its_token_its_suspension_and_its_end(receiving_world, namespaced):
    world = receiving_world
    await world.synced({"a.yaml": namespaced("a")})
    await receiver(world, interval="1s")
    path = (await ready(world))["status"]["webhookPath"]
    assert await call(world, path) == 202
    await world.secret("token", token="another token")
    assert await call(world, path) == 403, "the exchange counts at once"

    async def moved():
        found = await ready(world)
        return found["status"]["webhookPath"] == receiving.webhook_path("another token", "push", world.namespace)

    await world.until(moved, "the new path")
    path = receiving.webhook_path("another token", "push", world.namespace)
    assert await call(world, path, token="another token") == 202
    await world.patch("Receiver", "push", {"spec": {"suspend": True}}, group=flux.NOTIFICATION_GROUP)

    async def closed():
        return await call(world, path, token="another token") == 403

    await world.until(closed, "the suspension")
    await world.patch("Receiver", "push", {"spec": {"suspend": False}}, group=flux.NOTIFICATION_GROUP)

    async def opened():
        return await call(world, path, token="another token") == 202

    await world.until(opened, "the end of the suspension")
    await world.delete("Receiver", "push", group=flux.NOTIFICATION_GROUP)
    await world.until(closed, "the end of the receiver")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"type": "generic-oidc"}, "ReconciliationFailed"),
        ({"type": "gcr"}, "ReconciliationFailed"),
        ({"secretRef": {"name": "nope"}}, "TokenNotFound"),
    ],
)
async def test_a_receiver_that_cannot_work_says_why(receiving_world, spec, reason):
    world = receiving_world
    await world.start()
    await receiver(world, **spec)
    found = await ready(world, status="False")
    assert conditions.of(found).get("Ready").reason == reason
    assert "webhookPath" not in found["status"]


async def test_other_kinds_are_poked_by_fluxs_annotation_by_name_and_by_label(receiving_world, namespaced):
    world = receiving_world
    await world.synced({"a.yaml": namespaced("a")})
    await world.kustomization("labelled", path="./nope")
    await world.patch("Kustomization", "labelled", {"metadata": {"labels": {"poke": "me"}}}, group=flux.KUSTOMIZE_GROUP)
    resources = [{"kind": "Kustomization", "name": "app"}, {"kind": "Kustomization", "name": "*", "matchLabels": {"poke": "me"}}]
    await receiver(world, resources=resources)
    path = (await ready(world))["status"]["webhookPath"]
    assert await call(world, path) == 202

    async def annotated():
        found = [await world.get("Kustomization", name, group=flux.KUSTOMIZE_GROUP) for name in ("app", "labelled")]
        return all(flux.REQUESTED_AT in (each["metadata"].get("annotations") or {}) for each in found)

    await world.until(annotated, "the annotations")


async def test_a_commit_that_the_remote_serves_later_than_it_tells_is_waited_for(receiving_world, namespaced):
    world = receiving_world
    await world.synced({"a.yaml": namespaced("a")})
    await receiver(world)
    path = (await ready(world))["status"]["webhookPath"]
    # made in another clone: the remote does not have it when the webhook comes
    world.repo._git("checkout", "-q", "-b", "elsewhere")
    commit = world.repo.commit({"a.yaml": namespaced("a", "2")})
    world.repo._git("checkout", "-q", "main")
    world.repo._git("branch", "-q", "-D", "elsewhere")
    assert await call(world, path, {"ref": "refs/heads/main", "after": commit}) == 202
    await world.settled()
    world.repo._git("update-ref", "refs/heads/main", commit)
    await world.until_applied(f"main@sha1:{commit}", seconds=40)


async def test_a_webhook_that_names_somebody_elses_repository_or_an_old_commit_is_only_a_look(receiving_world, namespaced):
    world = receiving_world
    old = world.repo.commit({"a.yaml": namespaced("a", "old")})
    revision = await world.synced({"a.yaml": namespaced("a")})
    await receiver(world)
    path = (await ready(world))["status"]["webhookPath"]
    for body in (
        {"ref": "refs/heads/main", "after": old},
        {
            "ref": "refs/heads/evil",
            "after": old,
            "repository": {"full_name": "evil/evil", "clone_url": "http://169.254.169.254/"},
        },
        {"ref": "refs/heads/main", "after": "0" * 40},
    ):
        assert await call(world, path, body) == 202
    await world.settled()
    assert (await world.status())["lastAppliedRevision"] == revision
    assert (await world.status("fleet", flux.GIT_REPOSITORY))["artifact"]["revision"] == revision
