"""A process that serves webhooks: from a push on the forge to the object in the cluster, with nobody polling."""

from __future__ import annotations

import hashlib
import hmac
import json
import time

import aiohttp
import pytest

TOKEN = "a long random token"


@pytest.mark.parametrize("kind", ["github", "gitlab"])
async def test_a_push_is_applied_because_its_webhook_came(place, maps, kind):
    await place.apply(
        {
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
                        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                ],
            },
        }
    )

    async def installed():
        return await place.cluster.resource("notification.toolkit.fluxcd.io", "Receiver") is not None

    await place.until(installed, "Receivers served")
    metadata = {"name": "token", "namespace": place.namespace}
    await place.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": TOKEN}})
    await place.apply(
        {
            "apiVersion": "notification.toolkit.fluxcd.io/v1",
            "kind": "Receiver",
            "metadata": {"name": "push", "namespace": place.namespace},
            "spec": {
                "type": kind,
                "secretRef": {"name": "token"},
                "resources": [{"kind": "GitRepository", "name": "fleet"}],
            },
        }
    )
    revision = await place.commit(maps(3))
    await place.source()
    await place.kustomization()
    process = place.start("a", "--receiver-addr", "127.0.0.1:0")
    await place.until_applied(revision)

    async def listens():
        found = await place.get("Receiver", "push", "notification.toolkit.fluxcd.io")
        return process.url("receivers") and ((found or {}).get("status") or {}).get("webhookPath")

    path = await place.until(listens, "the receiver listens")
    assert path == "/hook/" + hashlib.sha256(f"{TOKEN}push{place.namespace}".encode()).hexdigest()
    revision = await place.commit(maps(3, "2"))
    body = json.dumps({"ref": "refs/heads/main", "after": revision.rpartition(":")[2]}).encode()
    headers = {
        "github": {
            "X-GitHub-Event": "push",
            "X-Hub-Signature-256": f"sha256={hmac.new(TOKEN.encode(), body, 'sha256').hexdigest()}",
        },
        "gitlab": {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": TOKEN},
    }[kind]
    started = time.monotonic()
    async with aiohttp.ClientSession() as client:
        async with client.post(process.url("receivers") + path, data=body, headers={}) as answer:
            assert answer.status == 403
        async with client.post(process.url("receivers") + path, data=body, headers=headers) as answer:
            assert answer.status == 202
    await place.until_applied(revision)
    print(f"from webhook to applied: {time.monotonic() - started:.2f} s")
    assert TOKEN not in process.text()
