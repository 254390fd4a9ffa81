"""References among rendered objects: what holds before a promotion must hold after it."""

from __future__ import annotations

from typing import Any

from penstock.model.errors import Place
from penstock.model.rendered import Origin, RenderedObject
from penstock.model.resource import ResourceId
from penstock.promote import referring

Object = dict[str, Any]


def told(before: list[Object], after: list[Object]) -> list[str]:
    sides = [
        [
            RenderedObject(id=ResourceId.of(one), manifest=one, origin=Origin(place=Place(path="clusters/x/a.yaml", line=1)))
            for one in side
        ]
        for side in (before, after)
    ]
    return [f"{one.object.kind}/{one.object.name} {one.field}: {one.what}" for one in referring.broken_by(sides[0], sides[1])]


def thing(kind: str, name: str = "web", api: str = "v1", **more: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, **more}


def deployment(*, replicas: int | None = None, **container: Any) -> Object:
    spec: Object = {
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", **container}]}},
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return thing("Deployment", api="apps/v1", spec=spec)


CONTAINER = "Deployment/web spec.template.spec.containers[name=web]"


def reads(key: str, *, kind: str = "configMap", optional: bool = False) -> Object:
    about = {"name": "web", "key": key, "optional": optional}
    return deployment(env=[{"name": "LEVEL", "valueFrom": {f"{kind}KeyRef": about}}])


def test_a_key_renamed_upstream_that_a_container_here_still_reads() -> None:
    before = [thing("ConfigMap", data={"level": "info"}), reads("level")]
    after = [thing("ConfigMap", data={"log_level": "info"}), reads("level")]
    assert told(before, after) == [f"{CONTAINER}.env[name=LEVEL].valueFrom.configMapKeyRef: ConfigMap/web has no key level"]
    assert told(before, [after[0], reads("log_level")]) == []
    assert told(before, [after[0], reads("level", optional=True)]) == []


def test_what_was_broken_before_is_not_this_changes_fault() -> None:
    broken = [thing("ConfigMap", data={}), reads("level")]
    assert told(broken, broken) == []


def test_a_reference_to_what_git_never_rendered_here_is_not_called_broken() -> None:
    assert told([], [reads("token", kind="secret")]) == []


def test_an_object_that_goes_while_something_still_needs_it() -> None:
    secret = thing("Secret", data={"token": "eA=="})
    needs = deployment(envFrom=[{"secretRef": {"name": "web"}}])
    assert told([secret, needs], [needs]) == [f"{CONTAINER}.envFrom[0].secretRef: Secret/web is not there any more"]


def test_a_volume_that_asks_for_a_key_that_went() -> None:
    pods = deployment()
    pods["spec"]["template"]["spec"]["volumes"] = [
        {"name": "files", "projected": {"sources": [{"configMap": {"name": "web", "items": [{"key": "a", "path": "a"}]}}]}}
    ]
    field = "Deployment/web spec.template.spec.volumes[name=files].projected.sources[0].configMap"
    before, after = [thing("ConfigMap", data={"a": "1"}), pods], [thing("ConfigMap", data={"b": "1"}), pods]
    assert told(before, after) == [f"{field}: ConfigMap/web has no key a"]


def test_a_port_that_moved_away_from_its_probe_and_its_service() -> None:
    def pods(port: int) -> Object:
        return deployment(ports=[{"containerPort": port}], readinessProbe={"httpGet": {"path": "/", "port": 8080}})

    service = thing("Service", spec={"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]})
    assert told([pods(8080), service], [pods(9090), service]) == [
        f"{CONTAINER}.readinessProbe.httpGet.port: the container has no port 8080",
        "Service/web spec.ports[0].targetPort: Deployment/web has no port 8080",
    ]


def test_a_port_that_nobody_declares_may_be_open() -> None:
    service = thing("Service", spec={"selector": {"app": "web"}, "ports": [{"port": 8080}]})
    assert told([], [deployment(livenessProbe={"tcpSocket": {"port": 8080}}), service]) == []


def test_labels_that_moved_away_from_their_service_and_budget() -> None:
    service = thing("Service", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
    budget = thing("PodDisruptionBudget", api="policy/v1", spec={"selector": {"matchLabels": {"app": "web"}}})
    moved = deployment()
    moved["spec"]["template"]["metadata"]["labels"] = {"app": "shop"}
    assert told([deployment(), service, budget], [moved, service, budget]) == [
        "Service/web spec.selector: no pods rendered here have these labels",
        "PodDisruptionBudget/web spec.selector.matchLabels: no pods rendered here have these labels",
    ]


def test_replicas_that_come_to_where_an_autoscaler_scales() -> None:
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = thing("HorizontalPodAutoscaler", api="autoscaling/v2", spec={"scaleTargetRef": scaled})
    (found,) = told([deployment(), scaler], [deployment(replicas=3), scaler])
    assert found.startswith("HorizontalPodAutoscaler/web spec.scaleTargetRef: Deployment/web sets spec.replicas")
    assert told([deployment(replicas=2), scaler], [deployment(replicas=3), scaler]) == [], "it was so before"
    assert told([deployment(), scaler], [scaler]) == [
        "HorizontalPodAutoscaler/web spec.scaleTargetRef: Deployment/web is not there any more"
    ]


def test_an_ingress_whose_service_or_port_went() -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rules = [{"http": {"paths": [{"path": "/", "backend": backend}]}}]
    ingress = thing("Ingress", api="networking.k8s.io/v1", spec={"rules": rules})
    service = thing("Service", spec={"ports": [{"port": 80}]})
    field = "Ingress/web spec.rules[0].http.paths[0].backend.service"
    assert told([service, ingress], [ingress]) == [f"{field}.name: Service/web is not there any more"]
    moved = thing("Service", spec={"ports": [{"port": 81}]})
    assert told([service, ingress], [moved, ingress]) == [f"{field}.port.number: Service/web has no port 80"]


def test_a_binding_whose_role_or_account_went() -> None:
    group = "rbac.authorization.k8s.io"
    role, account = thing("Role", api=f"{group}/v1"), thing("ServiceAccount")
    binding = thing(
        "RoleBinding",
        api=f"{group}/v1",
        roleRef={"apiGroup": group, "kind": "Role", "name": "web"},
        subjects=[{"kind": "ServiceAccount", "name": "web"}],
    )
    assert told([role, account, binding], [binding]) == [
        "RoleBinding/web roleRef: Role/web is not there any more",
        "RoleBinding/web subjects[0]: ServiceAccount/web is not there any more",
    ]


def test_shapes_that_are_no_kubernetes_objects_are_left_alone() -> None:
    odd = [
        deployment(env="x", envFrom=[1], ports={"a": 1}, livenessProbe=[]),
        thing("Service", spec=[]),
        thing("Ingress", spec={"rules": "x", "defaultBackend": 3}),
        thing("HorizontalPodAutoscaler", spec={"scaleTargetRef": "web"}),
        thing("RoleBinding", roleRef=[], subjects="x"),
    ]
    assert told([], odd) == []
