"""A dry-run of one new object speaks for all that the server cannot tell apart, and for nothing else."""

from __future__ import annotations

import pytest

from penstock.model import flux

MANY = 24


def dry_runs(world) -> int:
    return sum(count for verb, count in world.cluster.requests.items() if verb.endswith("?dryRun"))


def services(world, **wrong: str) -> dict[str, str]:
    """Files of so many Services of one pattern; `wrong` are ports of some of them."""
    return {
        f"s{number}.yaml": (
            f"apiVersion: v1\nkind: Service\nmetadata: {{name: s{number}, namespace: {world.namespace}}}\n"
            f"spec: {{selector: {{app: s{number}}}, ports: [{{port: {wrong.get(f's{number}', '80')}}}]}}\n"
        )
        for number in range(MANY)
    }


async def test_new_objects_of_one_pattern_need_one_dry_run(world):
    before = dry_runs(world)
    await world.synced(services(world))
    assert dry_runs(world) - before == 1
    for number in (0, MANY - 1):
        found = await world.get("Service", f"s{number}")
        assert found["spec"]["selector"] == {"app": f"s{number}"}
        assert found["metadata"]["labels"][flux.OWNER_NAME] == "app"


async def test_nothing_is_applied_when_one_of_many_is_invalid(world):
    world.repo.commit(services(world, s7="80000"))
    await world.source()
    await world.kustomization()
    await world.start()
    message = await world.until_failed(flux.RECONCILIATION_FAILED)
    assert "s7.yaml" in message
    assert "s6.yaml" not in message
    for number in range(MANY):
        assert await world.get("Service", f"s{number}") is None


async def test_every_one_is_named_when_the_pattern_itself_is_invalid(world):
    world.repo.commit(services(world, **{f"s{number}": "80000" for number in range(MANY)}))
    await world.source()
    await world.kustomization()
    await world.start()
    message = await world.until_failed(flux.RECONCILIATION_FAILED)
    for number in range(MANY):
        assert f"s{number}.yaml" in message


async def test_an_object_that_is_there_already_is_looked_at_for_itself(world, namespaced):
    """It is marked by hand as not to be touched; nothing but a look at it can tell."""
    await world.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "c3", "namespace": world.namespace, "annotations": {flux.RECONCILE: "disabled"}},
            "data": {"k": "by hand"},
        }
    )
    await world.synced({f"c{number}.yaml": namespaced(f"c{number}") for number in range(MANY)})
    assert (await world.get("ConfigMap", "c3"))["data"] == {"k": "by hand"}
    assert (await world.get("ConfigMap", "c4"))["data"] == {"k": "1"}


@pytest.mark.parametrize("resources", [["services"], ["*"]])
async def test_with_a_webhook_on_the_kind_each_object_is_dry_run(world, resources):
    """The webhook matches no object here, but who can say what it would look at."""
    name = f"{world.namespace}-judge"
    await world.apply(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [
                {
                    "name": "judge.example.com",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "failurePolicy": "Ignore",
                    "clientConfig": {"url": "https://127.0.0.1:9/judge"},
                    "namespaceSelector": {"matchLabels": {"no": "namespace"}},
                    "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": resources}],
                }
            ],
        }
    )
    try:
        before = dry_runs(world)
        await world.synced(services(world))
        assert dry_runs(world) - before == MANY
    finally:
        await world.delete("ValidatingWebhookConfiguration", name, group="admissionregistration.k8s.io")
