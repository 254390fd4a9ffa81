"""Every field of a Kustomization, one at a time: what it does in the cluster, its default, its condition, its words."""

from __future__ import annotations

import pytest

from penstock.model import condition as conditions
from penstock.model import flux
from penstock.model.errors import RefusedError

EVERYTHING = {
    "interval": "1h30m",
    "retryInterval": "2m0.5s",
    "timeout": "90s",
    "sourceRef": {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository", "name": "a", "namespace": "b"},
    "path": "./x",
    "prune": False,
    "deletionPolicy": "WaitForTermination",
    "suspend": True,
    "force": True,
    "wait": True,
    "healthChecks": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a", "namespace": "b"},
        {"kind": "Job", "name": "a"},
    ],
    "healthCheckExprs": [{"apiVersion": "a.b", "kind": "C", "current": "true", "inProgress": "false", "failed": "false"}],
    "dependsOn": [{"name": "a", "namespace": "b", "readyExpr": "true"}],
    "serviceAccountName": "sa",
    "kubeConfig": {"secretRef": {"name": "k", "key": "v"}},
    "targetNamespace": "t",
    "namePrefix": "p-",
    "nameSuffix": "-s",
    "commonMetadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
    "patches": [
        {
            "patch": "x",
            "target": {
                **dict.fromkeys(("group", "version", "kind", "name", "namespace"), "x"),
                "labelSelector": "a=b",
                "annotationSelector": "c",
            },
        }
    ],
    "images": [{"name": "a", "newName": "b", "newTag": "c", "digest": "sha256:0"}],
    "components": ["../c"],
    "ignoreMissingComponents": True,
    "buildMetadata": ["originAnnotations", "transformerAnnotations"],
    "ignore": [{"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}],
    "decryption": {"provider": "sops", "secretRef": {"name": "k"}, "serviceAccountName": "sa"},
    "postBuild": {
        "substituteStrategy": "Always",
        "substitute": {"a": "b"},
        "substituteFrom": [{"kind": "Secret", "name": "s", "optional": True}],
    },
}


async def test_the_definition_keeps_every_field_that_flux_has(world):
    await world.kustomization(**EVERYTHING)
    found = await world.get(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    assert found["spec"] == EVERYTHING
    assert found["status"] == {"observedGeneration": -1}


async def test_defaults_are_those_of_flux(world):
    await world.kustomization(postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "c"}]})
    found = (await world.get(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP))["spec"]
    assert found["force"] is False
    assert found["postBuild"]["substituteFrom"][0]["optional"] is False


@pytest.mark.parametrize(
    "spec",
    [
        {"interval": "1y"},
        {"interval": "-1m"},
        {"interval": ""},
        {"timeout": "5"},
        {"deletionPolicy": "Never"},
        {"sourceRef": {"kind": "HelmRepository", "name": "a"}},
        {"sourceRef": {"kind": "GitRepository"}},
        {"targetNamespace": "x" * 64},
        {"namePrefix": ""},
        {"buildMetadata": ["all"]},
        {"decryption": {"provider": "vault"}},
        {"decryption": {"secretRef": {"name": "k"}}},
        {"postBuild": {"substituteFrom": [{"kind": "Pod", "name": "a"}]}},
        {"postBuild": {"substituteStrategy": "Sometimes"}},
        {"healthCheckExprs": [{"apiVersion": "a/v1", "kind": "B"}]},
    ],
)
async def test_the_definition_refuses_what_flux_refuses(world, spec):
    with pytest.raises(RefusedError):
        await world.kustomization(**spec)


async def test_the_definition_prints_the_columns_of_flux(world):
    name = "kustomizations.kustomize.toolkit.fluxcd.io"
    found = (await world.get("CustomResourceDefinition", name, group="apiextensions.k8s.io"))["spec"]
    assert [column["name"] for column in found["versions"][0]["additionalPrinterColumns"]] == ["Age", "Ready", "Status"]
    assert found["names"]["shortNames"] == ["ks"]
    assert set(found["names"]["categories"]) == {"all", "fluxcd", "fluxcd-appliers"}


async def test_a_path_that_is_not_there_is_the_artifacts_fault(world, namespaced):
    world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization(path="./missing")
    await world.start()
    message = await world.until_failed("ArtifactFailed")
    assert message == "kustomization path not found: stat ./missing: no such file or directory"
    assert "lastAttemptedRevision" not in await world.status()
    revision = world.push({"missing/b.yaml": namespaced("b")})
    await world.until_applied(revision)


async def test_common_metadata_is_set_over_what_is_there_and_goes_again(world, namespaced):
    extra = "  labels: {team: old}\n"
    await world.synced(
        {"a.yaml": namespaced("a", "1", extra)}, commonMetadata={"labels": {"team": "new"}, "annotations": {"note": "x"}}
    )
    metadata = (await world.get("ConfigMap", "a"))["metadata"]
    assert metadata["labels"]["team"] == "new" and metadata["annotations"]["note"] == "x"
    await world.patch(flux.KUSTOMIZATION, "app", {"spec": {"commonMetadata": None}}, group=flux.KUSTOMIZE_GROUP)

    async def gone() -> bool:
        metadata = (await world.get("ConfigMap", "a"))["metadata"]
        return metadata["labels"]["team"] == "old" and "note" not in (metadata.get("annotations") or {})

    await world.until(gone, "the common metadata is gone")


async def test_names_namespace_images_and_patches_of_the_object_count(world):
    deployment = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  selector: {matchLabels: {a: b}}\n"
        "  template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: c, image: app:1}]}\n"
    )
    await world.synced(
        {"d.yaml": deployment},
        targetNamespace=world.namespace,
        namePrefix="p-",
        nameSuffix="-s",
        images=[{"name": "app", "newName": "registry/app", "newTag": "1.10"}],
        patches=[
            {"patch": "- {op: add, path: /spec/paused, value: true}", "target": {"kind": "Deployment", "name": "d.*"}},
            {"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {minReadySeconds: 3}\n"},
        ],
        buildMetadata=["originAnnotations"],
    )
    found = await world.get("Deployment", "p-d-s", group="apps")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "registry/app:1.10"
    assert found["spec"]["paused"] is True and found["spec"]["minReadySeconds"] == 3
    assert "config.kubernetes.io/origin" in found["metadata"]["annotations"]


async def test_missing_components_can_be_ignored(world, namespaced):
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization(components=["./nowhere"])
    await world.start()
    await world.until_failed("BuildFailed")
    await world.kustomization(components=["./nowhere"], ignoreMissingComponents=True)
    await world.until_applied(f"main@sha1:{commit}")


async def test_several_delete_patches_take_objects_out(world, namespaced):
    delete = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {0}, namespace: {1}}}\n$patch: delete\n"
    names = ("a", "b", "c", "d")
    together = "---\n".join(delete.format(name, world.namespace) for name in ("a", "b"))
    await world.synced(
        {f"{name}.yaml": namespaced(name) for name in names},
        patches=[{"patch": together}, {"patch": delete.format("c", world.namespace)}],
    )
    assert [await world.get("ConfigMap", name) is not None for name in names] == [False, False, False, True]


async def test_the_inventory_says_exactly_what_was_applied(world, namespaced):
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")})
    entries = (await world.status())["inventory"]["entries"]
    assert entries == [{"id": f"{world.namespace}_{name}__ConfigMap", "v": "v1"} for name in ("a", "b")]


async def test_history_keeps_five_and_counts_what_repeats(world, namespaced):
    await world.synced({"a.yaml": namespaced("a", "0")})
    for value in range(1, 7):
        await world.until_applied(world.push({"a.yaml": namespaced("a", str(value))}))
    assert world.manager is not None
    world.manager.reconcile(world.namespace, "app")

    async def counted() -> bool:
        return (await world.status())["history"][0]["totalReconciliations"] >= 2

    await world.until(counted, "the repetition is counted")
    history = (await world.status())["history"]
    assert len(history) == 5
    assert {entry["lastReconciledStatus"] for entry in history} == {"ReconciliationSucceeded"}
    assert history[0]["metadata"]["revision"] == (await world.status())["lastAppliedRevision"]


async def events(world) -> list[dict]:
    resource = await world.cluster.resource("", "Event", "v1")
    return list((await world.cluster.list(resource, world.namespace)).items)


async def test_events_carry_revision_commit_status_and_what_users_attached(world, namespaced):
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization(
        annotations={"event.toolkit.fluxcd.io/change_request": "7", "event.toolkit.fluxcd.io/commit": "abc", "other": "x"}
    )
    await world.start()
    await world.until_applied(f"main@sha1:{commit}")

    async def finished() -> dict | None:
        found = [each for each in await events(world) if each["message"].startswith("Reconciliation finished in ")]
        return found[0] if found else None

    event = await world.until(finished, "the event of success")
    assert event["reason"] == "ReconciliationSucceeded" and event["type"] == "Normal"
    assert event["metadata"]["annotations"] == {
        "kustomize.toolkit.fluxcd.io/revision": f"main@sha1:{commit}",
        "kustomize.toolkit.fluxcd.io/commit_status": "update",
        "event.toolkit.fluxcd.io/change_request": "7",
        "event.toolkit.fluxcd.io/commit": "abc",
    }
    assert ", next run in 10m0s" in event["message"]


async def test_a_new_revision_that_cancels_a_wait_is_told(world, namespaced):
    expressions = [{"apiVersion": "v1", "kind": "ConfigMap", "current": "data.k == 'done'"}]
    world.repo.commit({"a.yaml": namespaced("a", "busy")})
    await world.source()
    await world.kustomization(wait=True, healthCheckExprs=expressions, timeout="2m")
    await world.start()

    async def waiting() -> bool:
        found = conditions.parse((await world.status()).get("conditions")).get(flux.HEALTHY)
        return found is not None and found.reason == "Progressing"

    await world.until(waiting, "health is being checked")
    revision = world.push({"a.yaml": namespaced("a", "done")})
    await world.until_applied(revision)
    source = f"GitRepository/{world.namespace}/fleet"

    async def told() -> bool:
        wanted = f"Health checks canceled due to new reconciliation triggered by {source}"
        return any(each["message"] == wanted for each in await events(world))

    await world.until(told, "the cancellation is told")


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
async def test_a_labelled_source_of_variables_wakes_whoever_uses_it(world, namespaced, kind):
    data = {"data": {"value": "one"}} if kind == "ConfigMap" else {"stringData": {"value": "one"}}
    metadata = {"name": "vars", "namespace": world.namespace, "labels": {flux.WATCH: "Enabled"}}
    await world.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, **data})
    await world.synced({"a.yaml": namespaced("a", "${value}")}, postBuild={"substituteFrom": [{"kind": kind, "name": "vars"}]})
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "one"}
    data = {"data": {"value": "two"}} if kind == "ConfigMap" else {"stringData": {"value": "two"}}
    await world.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, **data})

    async def follows() -> bool:
        return (await world.get("ConfigMap", "a"))["data"] == {"k": "two"}

    # the interval is ten minutes
    await world.until(follows, "the variable's change is applied")


async def test_what_an_overridden_manager_writes_is_removed(world, namespaced):
    world.options = {"override_managers": ("banned",)}
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch("ConfigMap", "a", {"data": {"theirs": "x"}}, manager="banned")

    async def removed() -> bool:
        return (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}

    await world.until(removed, "the banned manager's field is gone")


async def test_a_requested_reconciliation_is_echoed(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    mark = {"metadata": {"annotations": {flux.REQUESTED_AT: "2026-03-02T14:00:00Z"}}}
    await world.patch(flux.KUSTOMIZATION, "app", mark, group=flux.KUSTOMIZE_GROUP)

    async def echoed() -> bool:
        return (await world.status()).get("lastHandledReconcileAt") == "2026-03-02T14:00:00Z"

    await world.until(echoed, "the request is echoed")


async def test_a_message_longer_than_a_condition_may_be_is_cut(world, namespaced):
    files = {f"f{number:04}.yaml": "kind: [\n" for number in range(900)}
    world.repo.commit(files)
    await world.source()
    await world.kustomization()
    await world.start()
    message = await world.until_failed("BuildFailed", seconds=40)
    assert len(message) <= 20_000


@pytest.mark.parametrize("poison", ["99999999999999999999h", "9" * 10_000 + "h", "9" * 400 + "h"])
async def test_a_duration_that_is_none_stalls_its_object_and_nobody_else(world, namespaced, poison):
    """The definition's pattern lets it through."""
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization("bad", interval=poison)
    await world.kustomization("good", dependsOn=[{"name": "bad", "readyExpr": "has(dep.metadata.name)"}])
    await world.start()
    await world.until_applied(f"main@sha1:{commit}", "good")
    message = await world.until_failed("ReconciliationFailed", "bad")
    assert "spec.interval" in message and len(message) < 400
    stalled = conditions.parse((await world.status("bad"))["conditions"]).get(flux.STALLED)
    assert stalled.status == "True"
    await world.delete(flux.KUSTOMIZATION, "bad", group=flux.KUSTOMIZE_GROUP)
    await world.gone(flux.KUSTOMIZATION, "bad", group=flux.KUSTOMIZE_GROUP)


async def test_the_origin_of_an_artifact_is_recorded(world, namespaced, tmp_path):
    """An artifact of another controller whose metadata says where it comes from itself."""
    from penstock.controllers import artifacts
    from penstock.model.tree import MemoryTree

    world.options = {"sources": False}
    storage = artifacts.Storage(tmp_path / "theirs")
    async with artifacts.serve(storage):
        tree = MemoryTree({"a.yaml": namespaced("a").encode()})
        made = storage.store(world.namespace, "fleet", "v1@sha256:0", "0" * 40, tree, "2026-03-02T14:00:00Z").manifest()
        made["metadata"] = {"org.opencontainers.image.revision": "v1@sha1:abc"}
        await world.source()
        ready = {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "x"}
        ready["lastTransitionTime"] = "2026-03-02T14:00:00Z"
        status = {"artifact": made, "conditions": [ready]}
        await world.patch(flux.GIT_REPOSITORY, "fleet", {"status": status}, group=flux.SOURCE_GROUP, subresource="status")
        await world.kustomization()
        await world.start()
        found = await world.until_applied("v1@sha256:0")
        assert found["lastAppliedOriginRevision"] == "v1@sha1:abc"
        assert found["history"][0]["metadata"]["originRevision"] == "v1@sha1:abc"
        await world.kill()
