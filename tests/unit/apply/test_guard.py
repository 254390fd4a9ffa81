"""What pruning may delete, and what has to be asked."""

from __future__ import annotations

import pytest

from penstock.apply import guard, immutability, planning
from penstock.apply.marks import Owner
from penstock.model import flux
from penstock.model.resource import ResourceId

OWNER, OTHER = Owner("app", "flux-system"), Owner("other", "flux-system")
MAP = ResourceId("", "ConfigMap", "n", "a")


def live(id, owner=OWNER, **metadata):  # noqa: A002
    labels = owner.labels() if owner else {}
    manifest = {
        "apiVersion": "v1",
        "kind": id.kind,
        "metadata": {"name": id.name, "namespace": id.namespace, "uid": "u", "labels": labels, **metadata},
    }
    return planning.observe(manifest)


def test_what_is_ours_goes():
    assert guard.decide(MAP, live(MAP), OWNER) == "delete"


def test_what_is_not_there_is_settled():
    assert guard.decide(MAP, None, OWNER) == "gone"


def test_somebody_elses_object_is_handed_over():
    assert guard.decide(MAP, live(MAP, OTHER), OWNER) == "handed-over"


def test_an_object_without_owner_labels_is_not_ours_to_delete():
    assert guard.decide(MAP, live(MAP, None), OWNER) == "not-ours"


@pytest.mark.parametrize("mark", [(flux.PRUNE, "Disabled"), (flux.RECONCILE, "disabled"), (flux.SSA, "ignore")])
def test_marks_are_respected_in_any_case(mark):
    assert guard.decide(MAP, live(MAP, annotations=dict([mark])), OWNER) == "opted-out"


@pytest.mark.parametrize("name", ["kube-system", "default", "flux-system", "kube-public"])
def test_the_ground_we_stand_on_is_never_pruned(name):
    namespace = ResourceId("", "Namespace", "", name)
    assert guard.decide(namespace, live(namespace), OWNER) == "protected"


def test_a_namespace_that_others_live_in_is_never_pruned():
    namespace = ResourceId("", "Namespace", "", "shared")
    assert guard.decide(namespace, live(namespace), OWNER, inhabited={"shared": [OWNER, OTHER]}) == "protected"
    assert guard.decide(namespace, live(namespace), OWNER, inhabited={"shared": [OWNER]}) == "delete"


def test_a_kustomization_never_prunes_itself():
    itself = ResourceId(flux.KUSTOMIZE_GROUP, flux.KUSTOMIZATION, "flux-system", "app")
    assert guard.decide(itself, live(itself), OWNER, own={itself}) == "protected"


def maps(count):
    return [ResourceId("", "ConfigMap", "n", f"m{index}") for index in range(count)]


@pytest.mark.parametrize(
    ("deleted", "of", "held"),
    [(2, 2, False), (3, 3, True), (3, 4, False), (10, 12, False), (11, 21, True), (11, 22, False), (4, 3, True)],
)
def test_a_prune_of_everything_or_of_most_is_held(deleted, of, held):
    assert (guard.hold(maps(deleted), of, "sha256:r") is not None) == held


@pytest.mark.parametrize(
    "id",
    [
        ResourceId("", "Namespace", "", "n"),
        ResourceId("", "PersistentVolumeClaim", "n", "c"),
        ResourceId("apiextensions.k8s.io", "CustomResourceDefinition", "", "c"),
    ],
)
def test_what_takes_data_with_it_is_always_held(id):  # noqa: A002
    held = guard.hold([id], 100, "sha256:r")
    assert held is not None and str(id) in held.why


def test_consent_is_for_these_objects_and_this_build_only():
    held = guard.hold(maps(3), 3, "sha256:r")
    assert guard.consented(held, {flux.PRUNE_CONSENT: held.digest})
    assert guard.consented(held, {flux.PRUNE_CONSENT: held.digest.removeprefix("sha256:")[:16]})
    assert not guard.consented(held, {flux.PRUNE_CONSENT: held.digest.removeprefix("sha256:")[:8]})
    assert not guard.consented(held, {flux.PRUNE_CONSENT: "sha256:"})
    assert not guard.consented(held, {})
    assert not guard.consented(guard.hold(maps(3), 3, "sha256:other"), {flux.PRUNE_CONSENT: held.digest})
    assert not guard.consented(guard.hold(maps(4), 4, "sha256:r"), {flux.PRUNE_CONSENT: held.digest})
    assert guard.consented(held, {flux.PRUNE_GUARD: "disabled"})


@pytest.mark.parametrize(
    ("messages", "proven"),
    [
        (("spec.selector: Invalid value: field is immutable",), True),
        (("data: Forbidden: field is immutable when `immutable` is set",), True),
        (("roleRef: Invalid value: cannot change roleRef",), True),
        (
            (
                "spec.selector: Invalid value: field is immutable",
                "spec.ports[0].port: Invalid value: must be between 1 and 65535",
            ),
            False,
        ),
        (("spec.replicas: expected integer, got another type",), False),
        ((), False),
    ],
)
def test_immutability_is_proven_only_when_nothing_else_is_wrong(messages, proven):
    assert immutability.proven(messages) == proven


def test_force_never_reaches_namespaces_and_definitions_and_data_only_with_its_own_mark():
    claim = ResourceId("", "PersistentVolumeClaim", "n", "c")
    mark = {"metadata": {"annotations": {flux.FORCE_PROTECTED: "enabled"}}}
    assert immutability.may_recreate(MAP, {}, force=True)
    assert not immutability.may_recreate(MAP, {}, force=False)
    assert not immutability.may_recreate(claim, {}, force=True)
    assert immutability.may_recreate(claim, mark, force=True)
    assert not immutability.may_recreate(ResourceId("", "Namespace", "", "n"), mark, force=True)
