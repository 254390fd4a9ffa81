"""Stop Flux, start Penstock, and back: no object gets another UID, another revision or another field."""

from __future__ import annotations

import pytest
from tests.judge.conftest import free_port, git_over_http, install_flux_definitions, served

from penstock import controllers
from penstock.model import flux


def everything(namespace: str) -> dict[str, str | None]:
    """Objects of many kinds, in the spellings that a server rewrites."""
    return {
        "kustomization.yaml": """\
resources: [objects.yaml, workload.yaml, custom.yaml]
configMapGenerator:
- {name: generated, literals: [a=1, b=two]}
images:
- {name: example/web, newTag: "2.0"}
patches:
- target: {kind: Deployment}
  patch: |
    - op: add
      path: /metadata/annotations
      value: {patched: "yes"}
namespace: NAMESPACE
""".replace("NAMESPACE", namespace),
        "objects.yaml": """\
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: Secret
metadata: {name: plain}
stringData: {password: hunter2}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}, {name: dns, port: 53, protocol: UDP}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: web}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
  - host: web.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 50%, selector: {matchLabels: {app: web}}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: once
  annotations: {kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}
data: {a: "1"}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: kept
  annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}
data: {a: "1", empty: ""}
---
apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec: {limits: [{type: Container, default: {cpu: 1000m, memory: 0.5Gi}}]}
""",
        "workload.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      containers:
      - name: main
        image: example/web
        ports: [{name: http, containerPort: 8080}, {name: metrics, containerPort: 9090, protocol: TCP}]
        env: [{name: A, value: "1"}, {name: B, valueFrom: {configMapKeyRef: {name: generated, key: b}}}]
        resources: {requests: {cpu: 0.5, memory: 1000Mi}, limits: {cpu: 1000m, memory: 1Gi}}
        readinessProbe: {httpGet: {path: /ready, port: http}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: example/db:1}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 5
  metrics:
  - {type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}}
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: job, image: example/job:1}]}}}}
""",
        "custom.yaml": """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.NAMESPACE.example.com}
spec:
  group: NAMESPACE.example.com
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: NAMESPACE.example.com/v1
kind: Thing
metadata: {name: one}
spec: {list: [{a: 1}, {b: 2.5}], text: "yes", empty: {}, nothing: []}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "NAMESPACE:reader"}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
""".replace("NAMESPACE", namespace),
    }


def differences(before, after):
    """What differs, by inventory id: 'path: then -> now'."""
    assert before.keys() == after.keys()
    return {entry: list(_changes(was, after[entry], "")) for entry, was in before.items() if was != after[entry]}


def inventory(status):
    return {entry["id"]: entry["v"] for entry in status["inventory"]["entries"]}


def _changes(was, now, path):
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted({*was, *now}):
            yield from _changes(was.get(key), now.get(key), f"{path}.{key}")
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for index, pair in enumerate(zip(was, now, strict=True)):
            yield from _changes(*pair, f"{path}[{index}]")
    elif was != now:
        yield f"{path}: {was} -> {now}"


async def test_what_flux_wrote_is_ours_without_a_write_and_flux_has_it_back_without_one(judge):
    async with served(judge, everything(judge.world.namespace)) as revision:
        async with judge.real("kustomize-controller"):
            await judge.world.until_applied(revision, seconds=120)
            first = await judge.reconciled()
        written, told = await judge.objects(), await judge.events()

        async with judge.penstock():
            ours = await judge.reconciled()
        assert differences(written, await judge.objects()) == {}
        assert inventory(ours) == inventory(first)
        assert ours["lastAppliedRevision"] == first["lastAppliedRevision"]
        assert await judge.events() == told

        async with judge.real("kustomize-controller"):
            back = await judge.reconciled()
        assert differences(written, await judge.objects()) == {}
        assert inventory(back) == inventory(first)
        assert await judge.events() == told


async def test_what_we_wrote_is_flux_s_without_a_write(judge):
    async with served(judge, everything(judge.world.namespace)) as revision:
        async with judge.penstock():
            await judge.world.until_applied(revision, seconds=120)
            first = await judge.reconciled()
        written, told = await judge.objects(), await judge.events()
        async with judge.real("kustomize-controller"):
            theirs = await judge.reconciled()
        assert differences(written, await judge.objects()) == {}
        assert inventory(theirs) == inventory(first)
        assert await judge.events() == told


async def test_definitions_may_be_ours_or_flux_s(judge):
    """Each side works on the other's CRDs, and swapping them changes no object."""
    files = everything(judge.world.namespace)
    async with served(judge, files) as revision:
        async with judge.real("kustomize-controller"):
            await judge.world.until_applied(revision, seconds=120)
            await judge.reconciled()
        before = await judge.world.get(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
        await controllers.install(judge.world.cluster)
        judge.world.cluster.forget_kinds()
        assert _content(await judge.world.get(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)) == _content(before)
        written = await judge.objects()
        async with judge.real("kustomize-controller"):
            await judge.reconciled()
        assert differences(written, await judge.objects()) == {}
        await install_flux_definitions(judge.world.cluster)
        async with judge.penstock():
            await judge.reconciled()
        assert differences(written, await judge.objects()) == {}


def _content(manifest):
    return {key: manifest[key] for key in ("spec", "status")}


@pytest.mark.parametrize("who", ["flux", "penstock"])
async def test_a_source_of_flux_feeds_either(judge, who, tmp_path):
    """Flux's source-controller clones over HTTP and serves the artifact; whoever applies it says the same revision."""
    commit = judge.world.repo.commit(everything(judge.world.namespace))
    async with git_over_http(judge.world.repo.folder) as url:
        await judge.world.source(url=url)
        await judge.world.kustomization(timeout="60s")
        port = free_port()
        flags = [
            f"--storage-path={tmp_path / 'storage'}",
            f"--storage-addr=127.0.0.1:{port}",
            f"--storage-adv-addr=127.0.0.1:{port}",
        ]
        (tmp_path / "storage").mkdir()
        async with judge.real("source-controller", *flags):
            await judge.reconciled("fleet", flux.GIT_REPOSITORY)
            async with judge.real("kustomize-controller") if who == "flux" else judge.penstock():
                status = await judge.world.until_applied(f"main@sha1:{commit}", seconds=120)
        assert len(status["inventory"]["entries"]) == len(await judge.objects())
