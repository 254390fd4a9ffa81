"""spec.kubeConfig: a Kustomization that applies to another cluster, and what its kubeconfig may not bring."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets

import pytest

from penstock import controllers
from penstock.adapters.kube import connect_to
from penstock.model import flux


class Remote:
    """Another cluster, and a kubeconfig for it with everything in it."""

    def __init__(self, cluster, server, namespace):
        self.cluster = cluster
        self.server = server
        self.namespace = namespace

    def kubeconfig(self, *, cluster=None, user=None) -> dict:
        ca = base64.b64encode(self.server.ca_path.read_bytes()).decode()
        about = {"server": self.server.url, "certificate-authority-data": ca, **(cluster or {})}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "there",
            "clusters": [{"name": "there", "cluster": about}],
            "users": [{"name": "me", "user": {"token": self.server.token, **(user or {})}}],
            "contexts": [{"name": "there", "context": {"cluster": "there", "user": "me"}}],
        }

    async def get(self, kind, name):
        resource = await self.cluster.resource("", kind)
        return await self.cluster.get(resource, self.namespace, name)


@pytest.fixture
async def remote(request, world, tmp_path):
    """For the sandbox a second sandbox cluster; for the real server itself, through a kubeconfig."""
    async with contextlib.AsyncExitStack() as stack:
        if world.cluster.name == "real":
            server = request.getfixturevalue("real_apiserver")
        else:
            from penstock.sandbox import cluster as sandbox

            server = await stack.enter_async_context(sandbox.serve(tmp_path / "remote", name="remote", rollout_seconds=0.05))
        cluster = await stack.enter_async_context(connect_to(server.url, token=server.token, ca_path=server.ca_path))
        await controllers.install(cluster)
        namespace = f"r-{secrets.token_hex(4)}"
        resource = await cluster.resource("", "Namespace")
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await cluster.apply(resource, manifest, field_manager="test")
        yield Remote(cluster, server, namespace)
        await world.kill()


async def put_secret(world, content, *, key="value", name="there") -> None:
    data = {key: base64.b64encode(json.dumps(content).encode()).decode()}
    await world.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": world.namespace}, "data": data}
    )


def there(remote, name, data="1") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {remote.namespace}}}\ndata: {{k: '{data}'}}\n"


async def begun(world, files, **spec) -> str:
    commit = world.repo.commit(files)
    await world.source()
    await world.kustomization(kubeConfig={"secretRef": {"name": "there"}}, **spec)
    await world.start()
    return f"main@sha1:{commit}"


@pytest.mark.parametrize("key", ["value", "value.yaml"])
async def test_objects_are_applied_checked_and_pruned_in_the_other_cluster(world, remote, key):
    await put_secret(world, remote.kubeconfig(), key=key)
    await world.until_applied(await begun(world, {"a.yaml": there(remote, "a"), "b.yaml": there(remote, "b")}, wait=True))
    assert (await remote.get("ConfigMap", "a"))["metadata"]["labels"][flux.OWNER_NAME] == "app"
    if remote.cluster.name != world.cluster.name and world.cluster.name != "real":
        resource = await world.cluster.resource("", "ConfigMap")
        assert await world.cluster.get(resource, remote.namespace, "a") is None
    await world.until_applied(world.push({"b.yaml": None}))
    assert await remote.get("ConfigMap", "b") is None


async def test_a_key_can_be_named(world, remote):
    await put_secret(world, remote.kubeconfig(), key="mine")
    await world.source()
    commit = world.repo.commit({"a.yaml": there(remote, "a")})
    await world.kustomization(kubeConfig={"secretRef": {"name": "there", "key": "other"}})
    await world.start()
    message = await world.until_failed("ReconciliationFailed")
    assert message == f"KubeConfig secret '{world.namespace}/there' does not contain a 'other' key with a kubeconfig"
    await world.kustomization(kubeConfig={"secretRef": {"name": "there", "key": "mine"}})
    await world.until_applied(f"main@sha1:{commit}")


async def test_drift_in_the_other_cluster_is_undone_when_it_happens(world, remote):
    await put_secret(world, remote.kubeconfig())
    await world.until_applied(await begun(world, {"a.yaml": there(remote, "a")}))
    resource = await remote.cluster.resource("", "ConfigMap")
    await remote.cluster.patch(
        resource, remote.namespace, "a", {"data": {"k": "drifted"}}, kind="merge", field_manager="somebody"
    )

    async def back() -> bool:
        return (await remote.get("ConfigMap", "a"))["data"] == {"k": "1"}

    await world.until(back, "the drift is undone")


async def test_a_missing_kubeconfig_is_told_and_its_coming_heals(world, remote):
    revision = await begun(world, {"a.yaml": there(remote, "a")})
    message = await world.until_failed("ReconciliationFailed")
    assert message == f"unable to read KubeConfig secret '{world.namespace}/there' error: Secret \"there\" not found"
    await put_secret(world, remote.kubeconfig())
    await world.until_applied(revision)
    assert await remote.get("ConfigMap", "a") is not None


@pytest.mark.parametrize(
    ("about", "user", "named"),
    [
        ({}, {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": ["FILE"]}}, "user.exec"),
        ({}, {"auth-provider": {"name": "gcp", "config": {"cmd-path": "touch"}}}, "user.auth-provider"),
        ({}, {"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}, "user.tokenFile"),
        ({}, {"client-certificate": "/etc/passwd", "client-key": "/etc/passwd"}, "user.client-certificate"),
        ({"certificate-authority": "/etc/hostname"}, {}, "cluster.certificate-authority"),
        ({"insecure-skip-tls-verify": True}, {}, "cluster.insecure-skip-tls-verify"),
        ({"server": "http://127.0.0.1:1"}, {}, "server without TLS"),
    ],
)
@pytest.mark.row("T08")
async def test_a_kubeconfig_that_runs_reads_or_trusts_anything_here_is_refused(world, remote, tmp_path, about, user, named):
    marker = tmp_path / "ran"
    user = json.loads(json.dumps(user).replace("FILE", str(marker)))
    await put_secret(world, remote.kubeconfig(cluster=about, user=user))
    await begun(world, {"a.yaml": there(remote, "a")})
    message = await world.until_failed("ReconciliationFailed")
    assert named in message and remote.server.token not in message
    assert not marker.exists()
    assert await remote.get("ConfigMap", "a") is None


@pytest.mark.parametrize("content", ["just text", [1], {"kind": "Config"}])
async def test_what_is_no_kubeconfig_is_told_without_its_content(world, remote, content):
    await put_secret(world, content)
    await begun(world, {"a.yaml": there(remote, "a")})
    message = await world.until_failed("ReconciliationFailed")
    assert "just text" not in message


async def test_cloud_identities_are_answered_as_flux_does_with_the_gate_off(world, namespaced):
    world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization(kubeConfig={"configMapRef": {"name": "aws"}})
    await world.start()
    assert "ObjectLevelWorkloadIdentity feature gate" in await world.until_failed("FeatureGateDisabled")
    assert await world.get("ConfigMap", "a") is None


async def test_deleting_takes_the_objects_of_the_other_cluster_along(world, remote):
    await put_secret(world, remote.kubeconfig())
    await world.until_applied(await begun(world, {"a.yaml": there(remote, "a")}))
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    assert await remote.get("ConfigMap", "a") is None


async def test_deleting_ends_although_the_kubeconfig_is_gone(world, remote):
    await put_secret(world, remote.kubeconfig())
    await world.until_applied(await begun(world, {"a.yaml": there(remote, "a")}))
    await world.delete("Secret", "there")
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    assert await remote.get("ConfigMap", "a") is not None


@pytest.mark.parametrize("cluster", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
async def test_an_account_counts_in_the_other_cluster(world, remote):
    await put_secret(world, remote.kubeconfig())
    await begun(world, {"a.yaml": there(remote, "a")}, serviceAccountName="tenant")
    message = await world.until_failed("ReconciliationFailed")
    assert f'User "system:serviceaccount:{world.namespace}:tenant" cannot' in message
    assert await remote.get("ConfigMap", "a") is None


async def test_a_new_kubeconfig_is_used_from_the_next_pass_on(world, remote):
    await put_secret(world, remote.kubeconfig(user={"token": "expired"}))
    revision = await begun(world, {"a.yaml": there(remote, "a")})
    await world.until_failed("ReconciliationFailed")
    await put_secret(world, remote.kubeconfig())
    await world.until_applied(revision)


@pytest.mark.row("A33")
async def test_another_cluster_behind_the_same_kubeconfig_gets_nothing_until_a_person_says_so(world, remote):
    """The pin is of the first cluster that was used; here it is turned into another one's, as a swap would."""
    await put_secret(world, remote.kubeconfig())
    await world.until_applied(await begun(world, {"a.yaml": there(remote, "a")}))
    namespaces = await remote.cluster.resource("", "Namespace")
    uid = (await remote.cluster.get(namespaces, "", "kube-system"))["metadata"]["uid"]
    kind = await world.cluster.resource(flux.KUSTOMIZE_GROUP, flux.KUSTOMIZATION)

    async def pin(value: str) -> None:
        body = {"metadata": {"annotations": {flux.CLUSTER: value}}}
        await world.cluster.patch(kind, world.namespace, "app", body, kind="merge", field_manager="somebody")

    live = await world.cluster.get(kind, world.namespace, "app")
    assert live["metadata"]["annotations"][flux.CLUSTER] == uid
    await pin("11111111-2222-3333-4444-555555555555")
    revision = world.push({"b.yaml": there(remote, "b")})
    message = await world.until_failed("ReconciliationFailed")
    assert "leads to another cluster than before" in message and f"{flux.CLUSTER}={uid}" in message
    assert await remote.get("ConfigMap", "b") is None
    await pin(uid)
    await world.until_applied(revision)
    assert await remote.get("ConfigMap", "b") is not None
