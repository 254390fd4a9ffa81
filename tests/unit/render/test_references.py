"""References inside one environment that lead nowhere are found, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from penstock.model.errors import Place
from penstock.model.rendered import Origin, RenderedObject
from penstock.model.resource import ResourceId
from penstock.render import references

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        envFrom: [{configMapRef: {name: web}}]
        env:
        - name: A
          valueFrom: {configMapKeyRef: {name: extra, key: a}}
        - name: B
          valueFrom: {secretKeyRef: {name: never-in-git, key: b}}
      volumes:
      - name: data
        persistentVolumeClaim: {claimName: data}
      - name: maybe
        configMap: {name: optional, optional: true}
"""


def _objects(*texts: str) -> list[RenderedObject]:
    manifests: list[dict[str, Any]] = [yaml.safe_load(text) for text in texts]
    return [
        RenderedObject(id=ResourceId.of(one), manifest=one, origin=Origin(place=Place(path=f"{number}.yaml", line=1)))
        for number, one in enumerate(manifests)
    ]


def test_every_missing_object_is_named_with_the_field_that_refers_to_it() -> None:
    found = references.dangling(_objects(DEPLOYMENT))
    container = "spec.template.spec.containers[name=web]"
    assert [str(problem) for problem in found] == [
        (
            "0.yaml:1: Deployment/shop/web spec.template.spec.volumes[name=data].persistentVolumeClaim.claimName refers to "
            "PersistentVolumeClaim/data, which this environment does not have"
        ),
        (
            f"0.yaml:1: Deployment/shop/web {container}.envFrom[0].configMapRef.name refers to ConfigMap/web, "
            "which this environment does not have"
        ),
        (
            f"0.yaml:1: Deployment/shop/web {container}.env[name=A].valueFrom.configMapKeyRef.name refers to ConfigMap/extra, "
            "which this environment does not have"
        ),
    ]
    assert {problem.severity for problem in found} == {"warning"}


def test_an_object_in_another_namespace_does_not_count() -> None:
    config = "{apiVersion: v1, kind: ConfigMap, metadata: {name: web, namespace: other}}"
    assert len(references.dangling(_objects(DEPLOYMENT, config))) == 3


def test_what_is_there_is_not_reported() -> None:
    there = [
        f"{{apiVersion: v1, kind: {kind}, metadata: {{name: {name}, namespace: shop}}}}"
        for kind, name in (("ConfigMap", "web"), ("ConfigMap", "extra"), ("PersistentVolumeClaim", "data"))
    ]
    assert references.dangling(_objects(DEPLOYMENT, *there)) == []


@pytest.mark.parametrize(("selector", "count"), [("{app: web}", 0), ("{app: api}", 1), ("{}", 0)])
def test_a_service_that_selects_no_pods_is_found(selector: str, count: int) -> None:
    service = f"{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: shop}}, spec: {{selector: {selector}}}}}"
    found = [one for one in references.dangling(_objects(DEPLOYMENT, service)) if one.code == "SelectsNothing"]
    assert len(found) == count


def test_an_ingress_and_an_autoscaler_that_point_at_nothing_are_found() -> None:
    ingress = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  rules:
  - http: {paths: [{path: /, backend: {service: {name: wbe}}}]}
"""
    scaler = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: wbe}}
"""
    said = [str(problem) for problem in references.dangling(_objects(ingress, scaler))]
    assert said == [
        (
            "0.yaml:1: Ingress/shop/web spec.rules[0].http.paths[0].backend.service.name refers to Service/wbe, "
            "which this environment does not have"
        ),
        (
            "1.yaml:1: HorizontalPodAutoscaler/shop/web spec.scaleTargetRef.name refers to Deployment/wbe, "
            "which this environment does not have"
        ),
    ]
