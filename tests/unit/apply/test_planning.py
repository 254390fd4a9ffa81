"""The plan: what is left alone, what is looked at, in which order, what goes."""

from __future__ import annotations

from penstock.apply import ordering, planning
from penstock.apply.marks import Owner
from penstock.model.errors import Place
from penstock.model.inventory import Inventory
from penstock.model.rendered import Origin, Rendered, RenderedObject
from penstock.model.resource import ResourceId

OWNER = Owner("app", "flux-system")


def wanted(*manifests):
    objects = tuple(
        RenderedObject(id=ResourceId.of(each), manifest=each, origin=Origin(place=Place(path="a.yaml", line=1)))
        for each in manifests
    )
    return planning.desired(Rendered(objects=objects, digest="sha256:0"), OWNER)


def thing(kind, name, api_version="v1", namespace="n", **more):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace, **more}}


def as_left(desired):
    """The live object as our apply of it left it."""
    manifest = {**desired.manifest, "metadata": {**desired.manifest["metadata"], "uid": "u", "resourceVersion": "1"}}
    labels = {f"f:{key}": {} for key in desired.manifest["metadata"]["labels"]}
    manifest["metadata"]["managedFields"] = [
        {
            "manager": "kustomize-controller",
            "operation": "Apply",
            "apiVersion": "v1",
            "fieldsV1": {"f:metadata": {"f:labels": labels}},
        }
    ]
    return planning.observe(manifest)


def test_an_applied_plan_leaves_an_empty_plan():
    desired = wanted(thing("ConfigMap", "a"), thing("ConfigMap", "b"))
    inventory = Inventory({each.id: "v1" for each in desired})
    plan = planning.plan(desired, inventory, {each.id: as_left(each) for each in desired})
    assert plan.empty
    assert [each.id.name for each in plan.unchanged] == ["a", "b"]


def test_what_is_not_known_is_looked_at_never_taken_for_missing_or_present():
    desired = wanted(thing("ConfigMap", "a"))
    plan = planning.plan(desired, Inventory(), {})
    assert [each.id.name for each in plan.changed] == ["a"]
    assert plan.before.versions == {desired[0].id: "v1"}


def test_the_inventory_before_holds_the_old_and_the_new():
    old = ResourceId("", "ConfigMap", "n", "old")
    desired = wanted(thing("ConfigMap", "new"))
    plan = planning.plan(desired, Inventory({old: "v1"}), {})
    assert set(plan.before) == {old, desired[0].id}
    assert set(plan.desired) == {desired[0].id}
    assert plan.stale == (old,)


def test_an_entry_nobody_can_read_is_never_dropped():
    plan = planning.plan((), Inventory({}, (("???", "v1"),)), {})
    assert plan.desired.manifest() == {"entries": [{"id": "???", "v": "v1"}]}


def test_stages_bring_definitions_first_and_gates_last():
    desired = wanted(
        thing("Deployment", "d", "apps/v1"),
        thing("ValidatingWebhookConfiguration", "w", "admissionregistration.k8s.io/v1", namespace=""),
        thing("StorageClass", "s", "storage.k8s.io/v1", namespace=""),
        thing("Role", "r", "rbac.authorization.k8s.io/v1"),
        thing("CustomResourceDefinition", "c", "apiextensions.k8s.io/v1", namespace=""),
        thing("Namespace", "n", namespace=""),
    )
    plan = planning.plan(desired, Inventory(), {})
    assert [[each.id.kind for each in stage] for stage in plan.stages] == [
        ["CustomResourceDefinition", "Namespace"],
        ["StorageClass"],
        ["Role"],
        ["Deployment"],
        ["ValidatingWebhookConfiguration"],
    ]


def test_pruning_goes_the_other_way():
    ids = [ResourceId("apps", "Deployment", "n", "d"), ResourceId("", "Namespace", "", "n"), ResourceId("", "Service", "n", "s")]
    assert [each.kind for each in planning.in_prune_order(ids)] == ["Deployment", "Service", "Namespace"]
    assert ordering.stage(ids[1]) == ordering.DEFINITIONS


def test_a_hand_made_change_of_kubectl_makes_an_object_change():
    desired = wanted(thing("ConfigMap", "a"))
    live = as_left(desired[0])
    manifest = {**live.manifest, "metadata": {**live.manifest["metadata"]}}
    manifest["metadata"]["managedFields"] = [
        {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": dict(live.fields)},
        {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:x": {}}}},
    ]
    touched = planning.observe(manifest)
    assert touched.undo
    assert planning.plan(desired, Inventory(), {desired[0].id: touched}).changed == desired


def test_what_the_server_once_said_counts_until_either_side_changes():
    desired = wanted(thing("ConfigMap", "a"))[0]
    live = planning.LiveObject(
        id=desired.id,
        uid="u",
        resource_version="1",
        owner=OWNER,
        fields={"f:data": {}},
        digest="d",
        undo=False,
        manifest={"metadata": {}},
    )
    said = planning.Verified(desired=desired.digest, live="d")
    assert not planning.as_wanted(desired, live, None)
    assert planning.as_wanted(desired, live, said)
    assert not planning.as_wanted(desired, live, planning.Verified(desired="other", live="d"))
    assert not planning.as_wanted(desired, live, planning.Verified(desired=desired.digest, live="other"))


def test_a_secret_is_sent_with_its_data_encoded_and_without_a_status():
    manifest = thing("Secret", "s") | {"stringData": {"k": "v"}, "data": {"x": "eA=="}, "status": {}}
    manifest["metadata"]["creationTimestamp"] = None
    sent = wanted(manifest)[0].manifest
    assert sent["data"] == {"x": "eA==", "k": "dg=="}
    assert "stringData" not in sent and "status" not in sent and "creationTimestamp" not in sent["metadata"]
    assert "stringData" in manifest, "the rendered manifest is shared and stays as it is"
