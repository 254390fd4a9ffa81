"""What `penstock install --image` gives, judged by a real API server: its validation, its Pod Security, its RBAC.

No kubelet runs here, so the pod itself cannot: its command line runs as a process, with the token of its ServiceAccount and
the rights that were installed, and nothing else.
"""

from __future__ import annotations

import json
import re
import ssl

import aiohttp
import pytest

from penstock.adapters.clock import SystemClock
from penstock.app import incluster, install
from penstock.controllers import metrics
from penstock.model.errors import RefusedError


def settings_of(place, **more) -> incluster.Settings:
    return incluster.Settings(image="penstock:test", namespace=place.namespace, **more)


async def installed(place, settings) -> None:
    told = []
    await install.everything(place.cluster, settings, lambda step, text: told.append(text))
    assert told[-1] == "install finished"


async def token_of(place, name: str) -> str:
    """A token as a pod would get it."""
    path = f"/api/v1/namespaces/{place.namespace}/serviceaccounts/{name}/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    context = ssl.create_default_context(cafile=str(place.server.ca_path))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    headers = {"Authorization": f"Bearer {place.server.token}"}
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), headers=headers) as session,
        session.post(place.server.url + path, json=body) as response,
    ):
        return str((await response.json())["status"]["token"])


def arguments(settings, place, folder) -> list[str]:
    """The container's own arguments, with this machine's folders and free ports."""
    local = {
        "--cache=/data/cache": f"--cache={folder / 'cache'}",
        "--storage-path=/data/artifacts": f"--storage-path={folder / 'artifacts'}",
        "--storage-addr=:9090": "--storage-addr=127.0.0.1:0",
        "--metrics-addr=:8080": "--metrics-addr=127.0.0.1:0",
        "--health-addr=:9440": "--health-addr=127.0.0.1:0",
    }
    command = incluster.command_line(settings)
    assert command[0] == "run" and set(local) <= set(command)
    return [local.get(each, each) for each in command[1:] if "$(POD_IP)" not in each]


async def started(place, settings, folder):
    config = place.server.kubeconfig()
    config["users"][0]["user"] = {"token": await token_of(place, incluster.NAME)}
    return place.start("pod", *arguments(settings, place, folder), kubeconfig=config, everywhere=True)


def refused(place) -> list[str]:
    """What the API server refused to the controller's account, from the audit log."""
    who, found = f"system:serviceaccount:{place.namespace}:{incluster.NAME}", []
    for line in place.server.audit_log.read_text().splitlines():
        entry = json.loads(line)
        if entry["user"]["username"] == who and entry.get("responseStatus", {}).get("code") == 403:
            found.append(f"{entry['verb']} {entry['requestURI']} as {entry.get('impersonatedUser', {}).get('username', who)}")
    return found


async def test_every_manifest_is_valid_and_the_pod_is_restricted(place):
    settings = settings_of(place)
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    await place.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place.namespace, "labels": enforced}})
    for manifest in incluster.manifests(settings):
        group, _, version = manifest["apiVersion"].rpartition("/")
        resource = await place.cluster.resource(group, manifest["kind"], version)
        await place.cluster.apply(resource, manifest, field_manager="test", dry_run=True)
    pods = await place.cluster.resource("", "Pod", "v1")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": place.namespace},
        "spec": incluster.pod(settings),
    }
    await place.cluster.create(pods, pod, dry_run=True)
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(RefusedError, match="PodSecurity"):
        await place.cluster.create(pods, pod, dry_run=True)


async def test_with_every_right_a_whole_sync_works(place, maps, tmp_path):
    label = {"suite": place.namespace}
    settings = settings_of(place, arguments=(f"--watch-label-selector=suite={place.namespace}",))
    await installed(place, settings)
    revision = await place.commit(maps(3))
    await place.source(labels=label)
    await place.kustomization(labels=label)
    process = await started(place, settings, tmp_path)
    await place.until_applied(revision)
    revision = await place.commit({"m1.yaml": None})
    await place.poke("GitRepository", "fleet")
    await place.until_applied(revision)
    assert await place.get("ConfigMap", "m1") is None
    assert refused(place) == []

    async def scraped() -> str:
        async with aiohttp.ClientSession() as session, session.get(process.url("metrics") + "/metrics") as response:
            return await response.text()

    page = await scraped()
    missing = {name for name in metrics.NAMES if not re.search(rf"^# TYPE {name.removesuffix('_total')}", page, re.M)}
    assert missing == set()
    assert 'leader_election_master_status{name="' in page and "process_cpu_seconds_total" in page
    async with aiohttp.ClientSession() as session:
        for path in ("/healthz", "/readyz"):
            async with session.get(process.url("health") + path) as response:
                assert (response.status, await response.text()) == (200, "ok")


async def test_with_no_right_of_its_own_it_acts_as_the_accounts_it_was_given(place, maps, tmp_path):
    label = {"suite": place.namespace}
    tenant = place.namespace
    selector = (f"--watch-label-selector=suite={tenant}",)
    settings = settings_of(place, apply_as="service-accounts", tenants=(tenant,), arguments=selector)
    await installed(place, settings)
    rbac = "rbac.authorization.k8s.io"
    await place.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deployer", "namespace": tenant}})
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]
    where = {"name": "deployer", "namespace": tenant}
    await place.apply({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": where, "rules": rules})
    await place.apply(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": where,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "deployer"},
            "subjects": [{"kind": "ServiceAccount", **where}],
        }
    )
    revision = await place.commit(maps(3))
    await place.source(labels=label)
    await place.kustomization(labels=label, spec={"serviceAccountName": "deployer"})
    await place.kustomization("nobody", labels=label, spec={"path": "./"})
    await started(place, settings, tmp_path)
    await place.until_applied(revision)
    assert [each for each in refused(place) if ":default" not in each] == []

    async def told() -> str:
        found = await place.get("Kustomization", "nobody", "kustomize.toolkit.fluxcd.io") or {}
        conditions = (found.get("status") or {}).get("conditions") or []
        return next((each["message"] for each in conditions if each["type"] == "Ready" and each["status"] == "False"), "")

    message = await place.until(told, "the one without an account of its own is refused")
    assert "orbidden" in message and "default" in message
    kustomizations = await place.cluster.resource("kustomize.toolkit.fluxcd.io", "Kustomization")
    await place.cluster.delete(kustomizations, tenant, "app")

    async def gone() -> bool:
        return await place.get("ConfigMap", "m0") is None

    await place.until(gone, "its objects go with it, as its account")


async def test_installed_again_nothing_changes_and_uninstalled_the_workloads_stay(place, maps, tmp_path):
    """On a server of its own would be kinder: the definitions of all go, and come back with the next install."""
    from penstock import controllers

    settings = settings_of(place)
    await installed(place, settings)
    before = await place.get("Deployment", incluster.NAME, "apps")
    await installed(place, settings)
    assert (await place.get("Deployment", incluster.NAME, "apps"))["metadata"]["resourceVersion"] == before["metadata"][
        "resourceVersion"
    ]
    revision = await place.commit(maps(2))
    await place.source()
    await place.kustomization()
    process = place.start("a")
    await place.until_applied(revision)
    process.stop()
    try:
        told = []
        await install.out_of(
            place.cluster, SystemClock(), lambda step, text: told.append(text), namespace=place.namespace, keep_namespace=True
        )
        assert told[0] == f"deleting components in {place.namespace} namespace"
        assert f"Deployment/{place.namespace}/{incluster.NAME} deleted" in told
        assert f"Kustomization/{place.namespace}/app finalizers deleted" in told
        assert told[-1] == "uninstall finished"

        async def undefined() -> bool:
            found = await place.get(
                "CustomResourceDefinition", "kustomizations.kustomize.toolkit.fluxcd.io", "apiextensions.k8s.io"
            )
            return found is None

        await place.until(undefined, "the definitions are gone")
        for name in ("m0", "m1"):
            assert await place.get("ConfigMap", name) is not None
        assert await place.get("ServiceAccount", incluster.NAME) is None
    finally:
        place.cluster.forget_kinds()
        await controllers.install(place.cluster)


def test_the_dashboard_reads_only_what_is_served():
    from penstock.app import dashboard

    expressions = " ".join(target["expr"] for panel in json.loads(dashboard.text())["panels"] for target in panel["targets"])
    named = set(
        re.findall(r"\b(?:gotk|penstock|controller_runtime|workqueue|rest_client|leader_election|process)_\w+", expressions)
    )
    named = {re.sub(r"_bucket$", "", name) for name in named if not name.startswith("penstock_controller")}
    assert named - set(metrics.NAMES) == {"process_cpu_seconds_total", "process_resident_memory_bytes"}
