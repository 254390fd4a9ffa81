"""What a tenant can and cannot do to others: every call about a tenant's objects is made as the tenant's account."""

from __future__ import annotations

import json
import secrets

import pytest

from penstock.model import condition as conditions
from penstock.model import flux
from penstock.model.errors import RefusedError

real_only = pytest.mark.parametrize("cluster", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
"""The sandbox stores RBAC objects without enforcing them."""
RBAC = "rbac.authorization.k8s.io"
ALL = ["get", "list", "watch", "create", "patch", "update", "delete"]


async def account(world, name: str, verbs=ALL, resources=("configmaps", "secrets"), namespace=None) -> None:
    metadata = {"name": name, "namespace": namespace or world.namespace}
    await world.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    rules = [{"apiGroups": [""], "resources": list(resources), "verbs": list(verbs)}]
    await world.apply({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    subject = {"kind": "ServiceAccount", **metadata}
    role = {"apiGroup": RBAC, "kind": "Role", "name": name}
    await world.apply(
        {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": [subject]}
    )


@pytest.fixture
async def other(world) -> str:
    """Another tenant's namespace."""
    name = f"o-{secrets.token_hex(4)}"
    await world.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


async def theirs(world, namespace: str, name: str) -> dict | None:
    resource = await world.cluster.resource("", "ConfigMap")
    return await world.cluster.get(resource, namespace, name)


async def begun(world, files, **spec) -> str:
    commit = world.repo.commit(files)
    await world.source()
    await world.kustomization(**spec)
    await world.start()
    return f"main@sha1:{commit}"


def audited(request, world) -> list[dict]:
    """Requests about this test's ConfigMaps, as the API server saw them."""
    log = request.getfixturevalue("real_apiserver").audit_log.read_text()
    found = [json.loads(line) for line in log.splitlines() if world.namespace in line]
    return [each for each in found if (each.get("objectRef") or {}).get("resource") == "configmaps"]


# T01


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.row("T01")
async def test_a_source_of_another_namespace_is_denied_in_the_same_words_whether_it_is_there(world, namespaced, other, exists):
    world.options = {"no_cross_namespace_refs": True}
    if exists:
        spec = {"url": world.url, "interval": "10m"}
        metadata = {"name": "theirs", "namespace": other}
        await world.apply(
            {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": metadata, "spec": spec}
        )
    await begun(world, {"a.yaml": namespaced("a")}, sourceRef={"kind": "GitRepository", "name": "theirs", "namespace": other})
    message = await world.until_failed("AccessDenied")
    assert message == f"can't access 'GitRepository/{other}/theirs', cross-namespace references have been blocked"
    stalled = conditions.parse((await world.status())["conditions"]).get(flux.STALLED)
    assert (stalled.status, stalled.reason) == ("True", "AccessDenied")


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.row("T01")
async def test_a_dependency_in_another_namespace_is_denied_in_the_same_words(world, namespaced, other, exists):
    world.options = {"no_cross_namespace_refs": True}
    if exists:
        spec = {"interval": "1h", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "x"}}
        metadata = {"name": "theirs", "namespace": other}
        await world.apply(
            {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata, "spec": spec}
        )
    await begun(world, {"a.yaml": namespaced("a")}, dependsOn=[{"name": "theirs", "namespace": other}])
    message = await world.until_failed("AccessDenied")
    assert message == f"can't access 'Kustomization/{other}/theirs', cross-namespace references have been blocked"
    assert await world.get("ConfigMap", "a") is None


async def test_without_the_flag_other_namespaces_may_be_referred_to(world, namespaced, other):
    spec = {"interval": "1h", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "x"}}
    metadata = {"name": "theirs", "namespace": other}
    await world.apply(
        {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata, "spec": spec}
    )
    await begun(world, {"a.yaml": namespaced("a")}, dependsOn=[{"name": "theirs", "namespace": other}])
    await world.until_failed("DependencyNotReady")


@pytest.mark.parametrize("field", ["substituteFrom", "decryption", "kubeConfig"])
@pytest.mark.row("T01")
async def test_variables_keys_and_kubeconfigs_come_from_the_own_namespace_only(world, namespaced, other, field):
    """These references have no namespace: one that is written is no field, and without it another's Secret is not found."""
    metadata = {"name": "theirs", "namespace": other}
    await world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"value": "x"}})

    def spec(reference: dict) -> dict:
        return {
            "substituteFrom": {"postBuild": {"substituteFrom": [{"kind": "Secret", **reference}]}},
            "decryption": {"decryption": {"provider": "sops", "secretRef": reference}},
            "kubeConfig": {"kubeConfig": {"secretRef": reference}},
        }[field]

    with pytest.raises(RefusedError):
        await world.kustomization(**spec({"name": "theirs", "namespace": other}))
    await begun(world, {"a.yaml": namespaced("a")}, **spec({"name": "theirs"}))
    message = await world.until_failed("ReconciliationFailed" if field == "kubeConfig" else "BuildFailed")
    assert "not found" in message and other not in message


# T02, T03


@real_only
@pytest.mark.row("T02")
async def test_without_an_account_the_default_one_acts_and_never_ourselves(request, world, namespaced):
    world.options = {"default_service_account": "default"}
    await account(world, "default", verbs=["get"])
    await begun(world, {"a.yaml": namespaced("a")})
    message = await world.until_failed("ReconciliationFailed")
    assert f'User "system:serviceaccount:{world.namespace}:default" cannot' in message
    assert await world.get("ConfigMap", "a") is None
    await account(world, "default")
    await world.until(lambda: world.get("ConfigMap", "a"), "the object is applied once the account may")
    writes = [each for each in audited(request, world) if each["verb"] in ("patch", "create", "delete", "update")]
    assert writes
    assert {(each.get("impersonatedUser") or {}).get("username") for each in writes} == {
        f"system:serviceaccount:{world.namespace}:default"
    }


@real_only
@pytest.mark.parametrize("name", ["missing", " ", "system:masters", "a:b", "../default", "UPPER"])
@pytest.mark.row("T03")
async def test_an_account_that_is_none_makes_no_call_as_ourselves(request, world, namespaced, name):
    await begun(world, {"a.yaml": namespaced("a")}, serviceAccountName=name)
    await world.until_failed("ReconciliationFailed")
    ours = [each for each in audited(request, world) if "impersonatedUser" not in each and each["verb"] != "get"]
    assert [each["verb"] for each in ours if each["verb"] not in ("list", "watch")] == []
    assert await world.get("ConfigMap", "a") is None


# T04


CLUSTER_ADMIN = (
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n"
    "subjects: [{kind: ServiceAccount, name: tenant, namespace: NS}]\n"
)
BEYOND = {
    "namespace": "apiVersion: v1\nkind: Namespace\nmetadata: {name: NAME}\n",
    "cluster role": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: NAME}\nrules: []\n",
    "cluster role binding": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: NAME}\n"
    + CLUSTER_ADMIN,
    "role binding": "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: NAME, namespace: NS}\n"
    + CLUSTER_ADMIN,
    "webhook": "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: NAME}\n",
    "definition": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.NS.test}\n"
    "spec:\n  group: NS.test\n  scope: Namespaced\n  names: {plural: xs, kind: X}\n"
    "  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]\n",
}


@real_only
@pytest.mark.parametrize("what", BEYOND)
@pytest.mark.row("T04")
async def test_what_reaches_beyond_the_tenant_is_for_the_api_server_to_refuse(world, namespaced, what):
    await account(world, "tenant")
    text = BEYOND[what].replace("NAME", f"x-{world.namespace}").replace("NS", world.namespace)
    await begun(world, {"a.yaml": namespaced("a"), "evil.yaml": text}, serviceAccountName="tenant")
    message = await world.until_failed("ReconciliationFailed")
    assert "cannot" in message and "evil.yaml" in message
    assert await world.get("ConfigMap", "a") is None, "nothing of an invalid revision is applied"


# T05, T06, T07


@real_only
@pytest.mark.row("T05", "T06")
async def test_a_tenant_cannot_touch_what_is_anothers(world, namespaced, other):
    metadata = {"name": "theirs", "namespace": other}
    await world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "theirs"}})
    await account(world, "tenant")
    text = namespaced("theirs", "stolen").replace(f"namespace: {world.namespace}", f"namespace: {other}")
    await begun(world, {"a.yaml": text}, serviceAccountName="tenant", force=True)
    message = await world.until_failed("ReconciliationFailed")
    assert "theirs" in message and "stolen" not in message
    assert (await theirs(world, other, "theirs"))["data"] == {"k": "theirs"}


@pytest.mark.row("T05")
async def test_owner_labels_put_on_by_hand_get_nothing_pruned(world, namespaced, other):
    labels = {flux.OWNER_NAME: "app", flux.OWNER_NAMESPACE: world.namespace}
    metadata = {"name": "spoofed", "namespace": other, "labels": labels}
    await world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "1"}})
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")})
    await world.until_applied(world.push({"b.yaml": None}))
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone("ConfigMap", "a")
    assert await theirs(world, other, "spoofed") is not None


@real_only
@pytest.mark.row("T05")
async def test_an_inventory_written_by_a_tenant_deletes_nothing_the_tenant_may_not(world, namespaced, other):
    labels = {flux.OWNER_NAME: "app", flux.OWNER_NAMESPACE: world.namespace}
    metadata = {"name": "theirs", "namespace": other, "labels": labels}
    await world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "1"}})
    await account(world, "tenant")
    world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization(serviceAccountName="tenant")
    status = {"inventory": {"entries": [{"id": f"{other}_theirs__ConfigMap", "v": "v1"}]}}
    await world.patch(flux.KUSTOMIZATION, "app", {"status": status}, group=flux.KUSTOMIZE_GROUP, subresource="status")
    await world.start()
    message = await world.until_failed("PruneFailed")
    assert "theirs" in message
    assert await theirs(world, other, "theirs") is not None


@real_only
async def test_health_of_what_the_account_may_not_see_is_not_told(world, namespaced, other):
    """What our own watches know of others' objects does not count under an account."""
    await world.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "theirs", "namespace": other, "labels": {flux.OWNER_NAME: "x", flux.OWNER_NAMESPACE: other}},
        }
    )
    await account(world, "tenant")
    await begun(
        world,
        {"a.yaml": namespaced("a")},
        serviceAccountName="tenant",
        timeout="2s",
        healthChecks=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "namespace": other}],
    )
    message = await world.until_failed("HealthCheckFailed", seconds=40)
    assert "status: 'Unknown'" in message and "cannot get resource" in message


@pytest.mark.parametrize("mark", ["prune: disabled", "ssa: Ignore", "force: enabled", "reconcile: disabled"])
@pytest.mark.row("T07")
async def test_marks_on_an_object_of_another_kustomization_change_nothing_there(world, namespaced, mark):
    """Two tenants name one object; the second one's marks are on its own manifest, not on what the first applied."""
    await world.synced({"one/a.yaml": namespaced("a", "one")}, path="./one")
    extra = f"  annotations: {{kustomize.toolkit.fluxcd.io/{mark}}}\n"
    world.push({"two/b.yaml": namespaced("b", "two", extra)})
    await world.kustomization("second", path="./two")

    async def second_done() -> bool:
        ready = await world.ready("second")
        return ready is not None and ready.status == "True"

    await world.until(second_done, "the second one is ready")
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "one"}


# T09


@pytest.mark.parametrize(
    "base",
    ["http://169.254.169.254/latest/meta-data", "https://127.0.0.1:1/x.yaml", "git::https://127.0.0.1/x", "file:///etc", "/etc"],
)
@pytest.mark.row("T09")
async def test_a_build_reaches_nothing_but_the_source(world, namespaced, base):
    await begun(world, {"kustomization.yaml": f"resources: ['{base}', a.yaml]\n", "a.yaml": namespaced("a")})
    message = await world.until_failed("BuildFailed")
    assert "remote" in message or "absolute" in message
    assert await world.get("ConfigMap", "a") is None


# T13


@real_only
@pytest.mark.row("T13")
async def test_deleting_the_account_first_lets_the_kustomization_go_and_says_what_is_left(world, namespaced):
    await account(world, "tenant")
    await world.until_applied(await begun(world, {"a.yaml": namespaced("a")}, serviceAccountName="tenant"))
    await world.delete("ServiceAccount", "tenant")
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    assert await world.get("ConfigMap", "a") is not None, "nobody deletes it as anybody else"

    async def told() -> bool:
        resource = await world.cluster.resource("", "Event", "v1")
        messages = [each["message"] for each in (await world.cluster.list(resource, world.namespace)).items]
        return any(text == f"unable to prune objects: \nConfigMap/{world.namespace}/a" for text in messages)

    await world.until(told, "what is left is told")


@real_only
async def test_finalising_happens_as_the_account_too(request, world, namespaced):
    await account(world, "tenant")
    await world.until_applied(await begun(world, {"a.yaml": namespaced("a")}, serviceAccountName="tenant"))
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    assert await world.get("ConfigMap", "a") is None
    deletes = [each for each in audited(request, world) if each["verb"] == "delete"]
    assert [each["impersonatedUser"]["username"] for each in deletes] == [f"system:serviceaccount:{world.namespace}:tenant"]


@real_only
async def test_rights_taken_away_are_refused_by_name_and_given_back_they_heal(world, namespaced):
    await account(world, "tenant")
    await world.until_applied(await begun(world, {"a.yaml": namespaced("a")}, serviceAccountName="tenant"))
    await account(world, "tenant", verbs=["get"])
    revision = world.push({"a.yaml": namespaced("a", "2")})
    await world.until_failed("ReconciliationFailed")
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}
    await account(world, "tenant")
    await world.until_applied(revision)


@real_only
async def test_a_role_and_its_binding_in_one_commit(world):
    """The escalation check of the API server has to see the role first."""
    role = (
        f"apiVersion: {RBAC}/v1\nkind: Role\nmetadata: {{name: r, namespace: {world.namespace}}}\n"
        "rules: [{apiGroups: [''], resources: [configmaps], verbs: [get]}]\n"
    )
    binding = (
        f"apiVersion: {RBAC}/v1\nkind: RoleBinding\nmetadata: {{name: b, namespace: {world.namespace}}}\n"
        f"roleRef: {{apiGroup: {RBAC}, kind: Role, name: r}}\n"
        f"subjects: [{{kind: ServiceAccount, name: tenant, namespace: {world.namespace}}}]\n"
    )
    await account(world, "tenant")
    metadata = {"name": "rbac", "namespace": world.namespace}
    rules = [{"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ALL}]
    await world.apply({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "tenant", "namespace": world.namespace}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "rbac"}
    await world.apply(
        {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": metadata, "roleRef": reference, "subjects": [subject]}
    )
    await world.until_applied(await begun(world, {"b.yaml": binding, "r.yaml": role}, serviceAccountName="tenant"))
