"""Patches for objects that are (mostly) there: strategic merges and JSON 6902, with targets and options."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from . import manifests, odd
from .folders import Folder
from .manifests import Known, Value
from .writing import Raw, Writer

TEMPLATED = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")


def _merge_body(rng: random.Random, known: Known) -> Value:
    """The part of a strategic-merge patch below kind and metadata."""
    if known.kind in TEMPLATED:
        return {"spec": rng.choice(_TEMPLATE_PATCHES)(rng)}
    if known.kind in ("ConfigMap", "Secret"):
        field_name = "data" if known.kind == "ConfigMap" else rng.choice(("data", "stringData"))
        body: Value = {"k": rng.choice(("patched", None, "cGF0Y2hlZA==")), "extra": "x"}
        if rng.random() < 0.1:
            body["$patch"] = rng.choice(("replace", "delete", "merge"))
        return {field_name: body}
    if known.kind == "Service":
        return rng.choice(
            (
                {"spec": {"type": "NodePort"}},
                {"spec": {"ports": [{"port": 80, "nodePort": 30000}]}},
                {"spec": {"ports": [{"port": 80, "$patch": "delete"}]}},
                {"spec": {"selector": {"app": "patched", "tier": None}}},
                {"spec": {"ports": [{"port": 9, "name": "nine"}, {"$patch": "replace"}]}},
                {"spec": {"ports": None}},
            )
        )
    if known.kind == "CronJob":
        return {
            "spec": {
                "schedule": "0 0 * * *",
                "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "patched"}]}}}},
            }
        }
    if known.kind == "Ingress":
        return {"spec": {"rules": [{"host": "patched.example.com"}]}}
    return rng.choice(
        (
            {"spec": {"patched": True, "image": "patched:1"}},
            {"spec": {"items": [{"name": "a", "value": 5}]}},
            {"spec": {"replicas": 4, "ref": None}},
            {"spec": {"$patch": "replace", "only": 1}},
            {"spec": {"a": {"b": {"c": [1, {"d": None}]}}}},
            {"spec": None},
            {},
        )
    )


def _containers(value: Any) -> Value:
    return {"template": {"spec": {"containers": value}}}


_TEMPLATE_PATCHES: tuple[Callable[[random.Random], Value], ...] = (
    lambda rng: {"replicas": rng.choice((7, 7, None, Raw("1e1")))},
    lambda rng: _containers([{"name": rng.choice(("main", "sidecar")), "image": "patched:1"}]),
    lambda rng: _containers([{"name": "added", "image": "added:1"}, {"name": "main", "args": ["--patched"]}]),
    lambda rng: _containers(
        [{"name": rng.choice(("main", "proxy")), "env": [{"name": "HOST", "value": "patched"}, {"name": "NEW", "value": "n"}]}]
    ),
    lambda rng: _containers([{"name": "main", "env": [{"name": "HOST", "$patch": "delete"}]}]),
    lambda rng: _containers([{"name": rng.choice(("main", "sidecar")), "$patch": "delete"}]),
    lambda rng: _containers([{"$patch": "replace"}, {"name": "only", "image": "only:1"}]),
    lambda rng: _containers(
        [{"name": "main", "ports": [{"containerPort": 80, "name": "patched"}, {"containerPort": 80, "protocol": "UDP"}]}]
    ),
    lambda rng: _containers([{"name": "main", "volumeMounts": [{"mountPath": "/mnt/0", "name": "other"}]}]),
    lambda rng: _containers([{"name": "main", "resources": {"limits": {"cpu": None, "gpu": Raw("1")}}, "command": ["new"]}]),
    lambda rng: {
        "template": {
            "spec": {
                "volumes": [
                    {"name": "v0", "emptyDir": {}},
                    {"name": "v9", "secret": {"secretName": rng.choice(manifests.SECRETS)}},
                ]
            }
        }
    },
    lambda rng: {"template": {"spec": {"volumes": [{"name": "v0", "$patch": rng.choice(("delete", "replace"))}]}}},
    lambda rng: {
        "template": {
            "spec": {
                "initContainers": [{"name": "init", "image": "init:2"}],
                "serviceAccountName": rng.choice(manifests.ACCOUNTS),
            }
        }
    },
    lambda rng: {
        "template": {
            "spec": {
                "tolerations": [{"key": "z"}],
                "nodeSelector": None,
                "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["c"]}],
            }
        }
    },
    lambda rng: {"template": {"metadata": {"annotations": {"patched": "true", "note": None}, "labels": {"app": "patched"}}}},
    lambda rng: {
        "selector": {"matchLabels": {"app": "patched"}},
        "strategy": {"$patch": rng.choice(("delete", "replace")), "type": "Recreate"},
    },
    lambda rng: {
        "template": {
            "spec": {
                "imagePullSecrets": [{"name": "token"}],
                "affinity": {"$patch": "delete"},
                "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 2}],
            }
        }
    },
    lambda rng: {
        "template": {
            "spec": {
                "$setElementOrder/containers": [{"name": "sidecar"}, {"name": "main"}],
                "containers": [{"name": "main", "image": "o:1"}],
            }
        }
    },
    lambda rng: {
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "2Gi"}}}}]
    },
    lambda rng: _containers([{"name": "main", "args": [], "env": [], "securityContext": {"capabilities": {"add": ["X"]}}}]),
    lambda rng: _containers([{"image": "no-name"}]),
    lambda rng: _containers(None),
    lambda rng: {"template": {"spec": {"$retainKeys": ["containers"], "containers": [{"name": "main"}]}}},
    lambda rng: {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
    lambda rng: _containers([{"name": "main", "$deleteFromPrimitiveList/args": ["--a"], "args": ["--b"]}]),
)


def merge_patch(rng: random.Random, known: Known) -> Value:
    """A strategic-merge patch for an object."""
    meta: Value = {"name": known.name}
    if known.namespace and rng.random() < 0.97:
        meta["namespace"] = known.namespace
    if rng.random() < 0.25:
        meta["labels"] = {"patched": "yes", **({"app": None} if rng.random() < 0.3 else {})}
    if rng.random() < 0.2:
        meta["annotations"] = {"patched": rng.choice(("yes", odd.text(rng))), **({"note": None} if rng.random() < 0.3 else {})}
    value: Value = {"apiVersion": known.api_version, "kind": known.kind, "metadata": meta}
    if rng.random() < 0.06:
        value["$patch"] = rng.choice(("delete", "delete", "merge", "replace"))
    if rng.random() < 0.9 and value.get("$patch") != "delete":
        value.update(_merge_body(rng, known))
    return value


def operations(rng: random.Random, known: Known) -> list[Value]:
    """A JSON 6902 patch for an object, sometimes one that cannot be applied."""
    found: list[Value] = []
    for _ in range(rng.randint(1, 3)):
        roll = rng.random()
        if roll < 0.25:
            found.append({"op": rng.choice(("add", "replace")), "path": "/metadata/labels", "value": {"json": "patched"}})
            if found[-1]["op"] == "replace" and not known.labels and rng.random() < 0.9:
                found[-1]["op"] = "add"
        elif roll < 0.4:
            found.append({"op": "add", "path": "/metadata/annotations", "value": {"a~b": "x", "c/d": odd.text(rng)}})
            if rng.random() < 0.3:
                found.append({"op": "replace", "path": "/metadata/annotations/c~1d", "value": rng.choice(("y", None))})
        elif roll < 0.5:
            found.append(
                {"op": "add", "path": "/spec", "value": rng.choice(({"new": [1, 2]}, {"a": None}, {"a": {}, "b": []}))}
                if known.kind == "Widget"
                else {"op": "test", "path": "/metadata/name", "value": known.name}
            )
        elif roll < 0.65 and known.kind in TEMPLATED:
            base = "/spec/template/spec/containers"
            found.append(
                rng.choice(
                    (
                        {"op": "replace", "path": f"{base}/0/image", "value": "json:1"},
                        {"op": "add", "path": f"{base}/-", "value": {"name": "appended", "image": "json:2"}},
                        {"op": "add", "path": f"{base}/0", "value": {"name": "first", "image": "json:2"}},
                        {"op": "remove", "path": f"{base}/{rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 1, 5))}"},
                        {"op": "copy", "from": f"{base}/0/image", "path": "/metadata/annotations", "value": 1},
                        {"op": "move", "from": f"{base}/0", "path": f"{base}/-"},
                        {"op": "add", "path": f"{base}/0/args", "value": ["--json", Raw("1"), Raw("0755"), Raw("2024-01-01")]},
                    )
                )
            )
        elif roll < 0.75:
            found.append({"op": "replace", "path": "/metadata/name", "value": rng.choice(("renamed", known.name))})
        elif roll < 0.765:
            found.append(
                {
                    "op": rng.choice(("remove", "replace", "bogus", "move")),
                    "path": rng.choice(("/spec/none/there", "spec", "/metadata/labels/none", "")),
                    "value": 1,
                }
            )
        else:
            found.append({"op": "add", "path": "/extra", "value": odd.value(rng, 2)})
    return found


def _selector(rng: random.Random, folder: Folder, known: Known) -> Value:
    roll = rng.random()
    if roll < 0.45:
        value: Value = {"kind": known.kind, "name": known.name}
    elif roll < 0.6:
        value = {"kind": known.kind}
    elif roll < 0.7:
        value = {
            "kind": known.kind,
            "name": rng.choice((".*", known.name[:1] + ".*", f"{known.name}|zzz", f"^{known.name}$", "[a-z]+")),
        }
    elif roll < 0.8:
        value = {
            "labelSelector": rng.choice(
                (
                    "app=web",
                    "app in (web,api)",
                    "env",
                    "!env",
                    "app!=web,tier",
                    "app==db",
                    "tier notin (x)",
                    "app notin (web)",
                    *(("bad selector(",) if rng.random() < 0.1 else ()),
                )
            )
        }
    elif roll < 0.85:
        value = {"annotationSelector": rng.choice(("note=x", "note", "!note"))}
    elif roll < 0.92:
        group, _, version = known.api_version.rpartition("/")
        value = {"version": version, "kind": known.kind, **({"group": group} if group else {})}
    else:
        value = {"name": rng.choice((known.name, "nobody", "a{2}", "(?i)WEB", *(("(",) if rng.random() < 0.1 else ())))}
    if known.namespace and rng.random() < 0.3:
        value["namespace"] = known.namespace
    return value


def patches(folder: Folder) -> None:
    rng = folder.rng
    entries = []
    for _ in range(rng.randint(1, 3)):
        known = folder.target()
        if known is None:
            return
        entry: Value = {}
        if rng.random() < 0.6:
            bodies: list[Any] = [merge_patch(rng, known)]
            if rng.random() < 0.1 and (other := folder.target()) is not None:
                bodies.append(merge_patch(rng, other))
            text = "---\n".join(Writer(rng).document(body) for body in bodies)
            if rng.random() < (0.3 if len(bodies) == 1 else 0.03):
                entry["target"] = _selector(rng, folder, known)
                if rng.random() < 0.3:
                    entry["options"] = {rng.choice(("allowNameChange", "allowKindChange")): True}
        else:
            text = Writer(rng).document(operations(rng, known))
            if rng.random() < 0.1:
                text = '[{"op": "add", "path": "/metadata/labels", "value": {"j": "1"}}]'
            if rng.random() < 0.97:
                entry["target"] = _selector(rng, folder, known)
        if rng.random() < 0.5:
            entry["path"] = folder.add("patch.yaml", text)
        else:
            entry["patch"] = text
        entries.append(entry)
    folder.fields["patches"] = entries


def old_patches(folder: Folder) -> None:
    rng = folder.rng
    known = folder.target()
    if known is None:
        return
    if rng.random() < 0.6:
        text = Writer(rng).document(merge_patch(rng, known))
        folder.fields["patchesStrategicMerge"] = [folder.add("merge.yaml", text) if rng.random() < 0.6 else text]
    else:
        text = Writer(rng).document(operations(rng, known))
        group, _, version = known.api_version.rpartition("/")
        target: Value = {"version": version, "kind": known.kind, "name": known.name, **({"group": group} if group else {})}
        if known.namespace:
            target["namespace"] = known.namespace
        entry: Value = {"target": target}
        if rng.random() < 0.5:
            entry["path"] = folder.add("ops.yaml", text)
        else:
            entry["patch"] = text
        folder.fields["patchesJson6902"] = [entry]
