"""The fields of a kustomization file, chosen to hit the objects below it (mostly)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import manifests, odd
from .manifests import Known, Value
from .writing import Raw, Writer

TEMPLATED = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")


@dataclass(slots=True)
class Folder:
    """A directory being filled: its files, its kustomization and the objects that come out of it."""

    path: str
    rng: random.Random
    files: dict[str, bytes | str]
    fields: Value = field(default_factory=dict)
    known: list[Known] = field(default_factory=list)
    generated: list[tuple[str, str]] = field(default_factory=list)
    """(kind, name) of what the generators here and below make."""
    counter: int = 0

    def add(self, name: str, content: bytes | str | Any) -> str:
        """A file with a new name; a value is written as YAML."""
        if not isinstance(content, bytes | str):
            content = Writer(self.rng).document(content)
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogatepass")
        while f"{self.path}/{name}" in self.files:
            self.counter += 1
            stem, dot, ending = name.rpartition(".")
            name = f"{stem or ending}{self.counter}{dot}{ending if stem else ''}"
        self.files[f"{self.path}/{name}"] = content
        return name

    def target(self) -> Known | None:
        """Some object."""
        return self.rng.choice(self.known) if self.known else None


def _pairs(rng: random.Random, count: int = 2) -> dict[str, Any]:
    keys = ("app", "team", "env", "app.kubernetes.io/part-of", "note", "example.com/owner")
    values = ("web", "platform", "prod", "a", "true", "1", "x y", "")
    return {key: rng.choice(values) for key in rng.sample(keys, rng.randint(1, count))}


def _label_pairs(rng: random.Random) -> dict[str, Any]:
    return {
        key: rng.choice(("web", "prod", "v2", "true", "1"))
        for key in rng.sample(("app", "team", "env", "tier"), rng.randint(1, 2))
    }


def namespace(folder: Folder) -> None:
    folder.fields["namespace"] = folder.rng.choice((*manifests.NAMESPACES, "prod"))


def affixes(folder: Folder) -> None:
    if folder.rng.random() < 0.7:
        folder.fields["namePrefix"] = folder.rng.choice(("dev-", "a-", "team.", "x"))
    if folder.rng.random() < 0.5:
        folder.fields["nameSuffix"] = folder.rng.choice(("-v1", "-b", "1"))


def labels(folder: Folder) -> None:
    rng = folder.rng
    entries = []
    for _ in range(rng.randint(1, 2)):
        entry: Value = {"pairs": _label_pairs(rng)}
        if rng.random() < 0.4:
            entry["includeSelectors"] = rng.choice((True, False))
        if rng.random() < 0.4:
            entry["includeTemplates"] = rng.choice((True, False))
        if rng.random() < 0.2:
            entry["fields"] = [field_spec(rng, "metadata/labels")]
        entries.append(entry)
    folder.fields["labels"] = entries


def field_spec(rng: random.Random, path: str) -> Value:
    """A place in some kinds."""
    spec: Value = {
        "path": rng.choice((path, path, f"spec/{path}", "spec/template/" + path, "spec/items[]/x", "spec/extra/labels"))
    }
    if rng.random() < 0.6:
        spec["kind"] = rng.choice(("Widget", "Deployment", "Service", "ConfigMap"))
    if rng.random() < 0.2:
        spec["group"] = rng.choice(("apps", "example.com", ""))
    if rng.random() < 0.1:
        spec["version"] = "v1"
    if rng.random() < 0.5:
        spec["create"] = rng.choice((True, True, False))
    return spec


def common_labels(folder: Folder) -> None:
    folder.fields["commonLabels"] = _label_pairs(folder.rng)


def common_annotations(folder: Folder) -> None:
    folder.fields["commonAnnotations"] = _pairs(folder.rng)


def images(folder: Folder) -> None:
    rng = folder.rng
    entries = []
    for _ in range(rng.randint(1, 3)):
        entry: Value = {
            "name": rng.choice(
                (
                    "nginx",
                    "postgres",
                    "foobar",
                    "registry.example.com:5000/team/app",
                    "gcr.io/x/y",
                    "example.com/nginx",
                    "ngin.",
                    "redis",
                )
            )
        }
        if rng.random() < 0.5:
            entry["newName"] = rng.choice(("mirror/nginx", "my.io:80/a/b", "postgres"))
        roll = rng.random()
        if roll < 0.5:
            entry["newTag"] = rng.choice(("1.2.3", "v9", "latest", "1.10"))
        elif roll < 0.7:
            entry["digest"] = "sha256:25a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3"
        elif roll < 0.8:
            entry["tagSuffix"] = "-debug"
        if rng.random() < 0.02:
            entry["newTag"] = Raw("1.10")
        entries.append(entry)
    folder.fields["images"] = entries


def replicas(folder: Folder) -> None:
    scaled = [known.name for known in folder.known if known.kind in ("Deployment", "StatefulSet", "ReplicaSet")]
    if scaled or folder.rng.random() < 0.05:
        folder.fields["replicas"] = [{"name": folder.rng.choice(scaled or ["nobody"]), "count": folder.rng.choice((0, 2, 5))}]


def _data_sources(folder: Folder, entry: Value) -> None:
    rng = folder.rng
    if rng.random() < 0.7:
        entry["literals"] = [
            f"{key}={rng.choice(('1', 'a b', 'x=y', '', chr(34) + 'q' + chr(34), 'é', 'true', 'l1' + chr(92) + 'nl2'))}"
            for key in rng.sample(("k", "l", "m.n", "UPPER_CASE"), rng.randint(1, 3))
        ]
    if rng.random() < 0.4:
        content = rng.choice(
            (
                b"hello\n",
                b"a: b\nc:\n- d\n",
                b"",
                b"no newline",
                odd.text(rng).encode("utf-8", "surrogatepass"),
                b"\xff\xfe\x00bin",
                b"crlf\r\nx\r\n",
                b"x" * 120,
            )
        )
        name = folder.add(rng.choice(("app.properties", "conf.ini", "data.json")), content)
        entry["files"] = [rng.choice((name, f"renamed={name}", f"./{name}"))]
    if rng.random() < 0.25:
        content = rng.choice(
            (
                b"A=1\nB=two words\n",
                b"# c\n\nA=1\n  C=  3 \nD\n",
                b"A='q'\nB=\n",
                b"A=1\r\nB=2\r\n",
                b"\xef\xbb\xbfA=1\n",
                b'A="q"\nB=a=b # c',
            )
        )
        name = folder.add(rng.choice((".env", "vars.env")), content)
        entry["envs" if rng.random() < 0.85 else "env"] = [name]
        if "env" in entry:
            entry["env"] = name


def _options(rng: random.Random) -> Value:
    options: Value = {}
    if rng.random() < 0.4:
        options["disableNameSuffixHash"] = rng.choice((True, True, False))
    if rng.random() < 0.3:
        options["labels"] = _label_pairs(rng)
    if rng.random() < 0.3:
        options["annotations"] = _pairs(rng)
    if rng.random() < 0.2:
        options["immutable"] = True
    return options


def generators(folder: Folder) -> None:
    rng = folder.rng
    for name, names, kind in (
        ("configMapGenerator", manifests.CONFIGS, "ConfigMap"),
        ("secretGenerator", manifests.SECRETS, "Secret"),
    ):
        if rng.random() < 0.4:
            continue
        entries = []
        for chosen in rng.sample(names, rng.randint(1, 2)):
            taken = [known for known in folder.known if (known.kind, known.name) == (kind, chosen)]
            below = (kind, chosen) in folder.generated
            entry: Value = {"name": chosen}
            if rng.random() < 0.15:
                entry["namespace"] = rng.choice(manifests.NAMESPACES)
            if (taken or below) and rng.random() < 0.35:
                continue
            if taken or below:
                if rng.random() < 0.08:
                    entry["behavior"] = "create"
                else:
                    entry["behavior"] = rng.choice(("merge", "replace"))
                    entry.pop("namespace", None)
                    if taken and taken[0].namespace:
                        entry["namespace"] = taken[0].namespace
            elif rng.random() < 0.1:
                entry["behavior"] = rng.choice(("create", "create", "merge", "bogus"))
            _data_sources(folder, entry)
            if rng.random() < 0.3:
                entry["options"] = _options(rng)
            if kind == "Secret" and rng.random() < 0.4:
                entry["type"] = rng.choice(("Opaque", "kubernetes.io/tls"))
            entries.append(entry)
            folder.generated.append((kind, chosen))
        if entries:
            folder.fields[name] = entries
    if rng.random() < 0.25:
        folder.fields["generatorOptions"] = _options(rng)


# -- patches -----------------------------------------------------------------------------------------------------------


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
        value["$patch"] = rng.choice(("delete", "delete", "merge"))
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


# -- replacements and vars ---------------------------------------------------------------------------------------------

_SOURCES = (
    "metadata.name",
    "metadata.namespace",
    "spec.replicas",
    "spec.template.spec.containers.0.image",
    "metadata.labels.app",
    "data.k",
    "spec.ports.0.port",
    "",
    "spec.none",
    "metadata.labels",
    "apiVersion",
)
_TARGETS = (
    "metadata.annotations.copied",
    "metadata.labels.[app]",
    "spec.template.spec.containers.[name=main].image",
    "spec.template.spec.containers.*.image",
    "spec.template.spec.containers.[name=main].env.[name=HOST].value",
    "spec.template.spec.containers.0.args.0",
    "spec.extra.deep",
    "metadata.annotations.[example.com/owner]",
    "spec.selector",
    "data.copied",
    "spec.none.there",
    "metadata.name",
    "spec.items.[name=a].value",
    "spec.ports.0.port",
    "metadata.annotations.dotted\\.key",
)


def _source_path(rng: random.Random, known: Known) -> str:
    """A path that is mostly there."""
    if rng.random() < 0.06:
        return rng.choice(_SOURCES)
    sure = ["metadata.name", "kind", "apiVersion"]
    if known.labels:
        sure += [f"metadata.labels.{key}" for key in known.labels if "." not in key]
    if known.kind in TEMPLATED:
        sure += ["spec.template.spec.containers.0.image", "spec.template.spec.containers.[name=main].name"]
    if known.kind == "Service":
        sure += ["spec.ports.0.port", "spec.ports.[name=http].targetPort", "spec.ports"]
    return rng.choice(sure)


def _target_path(rng: random.Random, known: Known) -> str:
    """A path that can mostly be made."""
    if rng.random() < 0.06:
        return rng.choice(_TARGETS)
    sure = [
        "metadata.annotations.copied",
        "metadata.annotations.[example.com/owner]",
        "metadata.labels.app",
        "metadata.annotations.dotted\\.key",
        "spec.extra.deep",
        "metadata.name",
    ]
    if known.kind in TEMPLATED:
        sure += [
            "spec.template.spec.containers.*.image",
            "spec.template.spec.containers.[name=main].image",
            "spec.template.spec.containers.0.env.[name=HOST].value",
            "spec.template.spec.containers.*.env.[name=NEW].value",
        ]
    if known.kind == "ConfigMap":
        sure += ["data.copied", "data.k"]
    return rng.choice(sure)


def replacements(folder: Folder) -> None:
    rng = folder.rng
    entries: list[Any] = []
    for _ in range(rng.randint(1, 2)):
        source, target = folder.target(), folder.target()
        if source is None or target is None:
            return
        entry: Value = {"source": {"kind": source.kind, "name": source.name}}
        if rng.random() < 0.8:
            entry["source"]["fieldPath"] = _source_path(rng, source)
        if rng.random() < 0.06:
            entry["source"]["options"] = {"delimiter": rng.choice(("-", ":", "/")), "index": rng.choice((0, 1, -1))}
        if rng.random() < 0.06:
            entry = {"sourceValue": rng.choice(("literal", "1", ""))}
        select: Value = {"kind": target.kind}
        if rng.random() < 0.7:
            select["name"] = target.name
        goal: Value = {"select": select, "fieldPaths": [_target_path(rng, target)]}
        if rng.random() < 0.15:
            goal["reject"] = [{"name": rng.choice(manifests.APPS)}]
        if rng.random() < 0.85:
            goal["options"] = {"create": True}
        if rng.random() < 0.07:
            goal.setdefault("options", {}).update(
                {"delimiter": rng.choice((":", "/", "-")), "index": rng.choice((0, 1, 2, -1, 9))}
            )
        entry["targets"] = [goal]
        entries.append(entry)
    if rng.random() < 0.2:
        entries = [{"path": folder.add("replacement.yaml", entries[0] if rng.random() < 0.5 else entries)}]
    folder.fields["replacements"] = entries


def variables(folder: Folder) -> None:
    rng = folder.rng
    entries = []
    for name in rng.sample(("HOST", "SVC", "IMAGE", "PORT"), rng.randint(1, 2)):
        known = folder.target()
        if known is None:
            return
        entry: Value = {"name": name, "objref": {"kind": known.kind, "name": known.name, "apiVersion": known.api_version}}
        if known.namespace and rng.random() < 0.9:
            entry["objref"]["namespace"] = known.namespace
        if rng.random() < 0.5:
            entry["fieldref"] = {"fieldPath": _source_path(rng, known)}
        entries.append(entry)
    folder.fields["vars"] = entries


# -- configuration -----------------------------------------------------------------------------------------------------


def configurations(folder: Folder) -> None:
    rng = folder.rng
    value: Value = {}
    for name, spec in (
        (
            "nameReference",
            {"kind": rng.choice(("Deployment", "ConfigMap")), "fieldSpecs": [{"kind": "Widget", "path": "spec/ref/name"}]},
        ),
        ("images", {"kind": "Widget", "path": "spec/image"}),
        ("replicas", {"kind": "Widget", "path": "spec/replicas"}),
        ("varReference", {"kind": "Widget", "path": "spec/image"}),
        ("namespace", {"kind": "Widget", "path": "spec/ns", "create": True}),
        ("commonLabels", {"kind": "Widget", "path": "spec/selector", "create": rng.choice((True, False))}),
        ("commonAnnotations", {"kind": "Widget", "path": "spec/notes", "create": True}),
        ("namePrefix", {"kind": "Widget", "path": "spec/ref/name"}),
    ):
        if rng.random() < 0.3:
            value[name] = [spec]
    if value:
        folder.fields["configurations"] = [folder.add("config.yaml", value)]


def crds(folder: Folder) -> None:
    properties = {
        "ref": {"x-kubernetes-object-ref-api-version": "apps/v1", "x-kubernetes-object-ref-kind": "Deployment", "$ref": "x"},
        "image": {"type": "string"},
    }
    value = {
        "github.com/example.Widget": {
            "Schema": {
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"$ref": "k8s.io/ObjectMeta"},
                    "spec": {"$ref": "github.com/example.WidgetSpec"},
                },
            }
        },
        "github.com/example.WidgetSpec": {"Schema": {"properties": properties}},
    }
    folder.fields["crds"] = [folder.add("crd.json", _json(value))]


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value, indent=2).encode()


def openapi(folder: Folder) -> None:
    items = {
        "type": "array",
        "items": {"type": "object"},
        "x-kubernetes-patch-merge-key": "name",
        "x-kubernetes-patch-strategy": "merge",
    }
    definition = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"items": items}}},
        "x-kubernetes-group-version-kind": [{"group": "example.com", "kind": "Widget", "version": "v1"}],
    }
    folder.fields["openapi"] = {"path": folder.add("schema.json", _json({"definitions": {"v1.Widget": definition}}))}


def sort_options(folder: Folder) -> None:
    rng = folder.rng
    value: Value = {"order": rng.choice(("fifo", "legacy", "legacy"))}
    if value["order"] == "legacy" and rng.random() < 0.4:
        value["legacySortOptions"] = {"orderFirst": ["Namespace", "Widget"], "orderLast": ["Deployment"]}
    folder.fields["sortOptions"] = value


def build_metadata(folder: Folder) -> None:
    folder.fields["buildMetadata"] = folder.rng.sample(
        ("originAnnotations", "transformerAnnotations", "managedByLabel"), folder.rng.randint(1, 2)
    )


def plugins(folder: Folder) -> None:
    """Built-in transformers and generators as plugin configurations."""
    rng = folder.rng
    known = folder.target()
    choices: list[Value] = [
        {"kind": "PrefixTransformer", "prefix": "plug-", "fieldSpecs": [{"path": "metadata/name"}]},
        {"kind": "SuffixTransformer", "suffix": "-plug", "fieldSpecs": [{"path": "metadata/name"}]},
        {"kind": "LabelTransformer", "labels": _label_pairs(rng), "fieldSpecs": [{"path": "metadata/labels", "create": True}]},
        {
            "kind": "AnnotationsTransformer",
            "annotations": _pairs(rng),
            "fieldSpecs": [{"path": "metadata/annotations", "create": True}],
        },
        {
            "kind": "NamespaceTransformer",
            "metadata": {"name": "n", "namespace": "plugged"},
            "unsetOnly": rng.choice((True, False)),
        },
        {
            "kind": "NamespaceTransformer",
            "metadata": {"name": "n", "namespace": "plugged"},
            "setRoleBindingSubjects": rng.choice(("defaultOnly", "none", "allServiceAccounts", "bogus")),
            "fieldSpecs": [{"path": "metadata/namespace", "create": True}],
        },
        {"kind": "ImageTagTransformer", "imageTag": {"name": "nginx", "newTag": "plug"}},
        {
            "kind": "ReplicaCountTransformer",
            "replica": {"name": known.name if known else "x", "count": 9},
            "fieldSpecs": [{"path": "spec/replicas", "create": True, "kind": "Deployment"}],
        },
        {"kind": "HashTransformer"},
        {"kind": "ValueAddTransformer", "value": "added", "targets": [{"fieldPath": "metadata/labels/added"}]},
    ]
    if known is not None:
        choices.append({"kind": "PatchTransformer", "patch": Writer(rng).document(merge_patch(rng, known))})
        choices.append(
            {
                "kind": "PatchTransformer",
                "target": {"kind": known.kind},
                "patch": '[{"op": "add", "path": "/metadata/labels", "value": {"p": "q"}}]',
            }
        )
        choices.append({"kind": "PatchStrategicMergeTransformer", "patches": Writer(rng).document(merge_patch(rng, known))})
        choices.append(
            {
                "kind": "PatchJson6902Transformer",
                "target": {"kind": known.kind, "name": known.name},
                "jsonOp": '[{"op": "add", "path": "/x", "value": 1}]',
            }
        )
    value: Value = {"apiVersion": "builtin", **rng.choice(choices)}
    value.setdefault("metadata", {"name": "plugin"})
    text = Writer(rng, plain=True).document(value)
    folder.fields["transformers"] = [folder.add("transformer.yaml", text) if rng.random() < 0.6 else text]
    if rng.random() < 0.3:
        kind = rng.choice(("ConfigMapGenerator", "SecretGenerator"))
        generator: Value = {
            "apiVersion": "builtin",
            "kind": kind,
            "metadata": {"name": "plugin-made"},
            "literals": ["a=b", "c=d"],
        }
        text = Writer(rng, plain=True).document(generator)
        folder.fields["generators"] = [folder.add("generator.yaml", text) if rng.random() < 0.6 else text]


FIELDS: tuple[tuple[float, Callable[[Folder], None]], ...] = (
    (0.35, namespace),
    (0.3, affixes),
    (0.25, labels),
    (0.12, common_labels),
    (0.2, common_annotations),
    (0.25, images),
    (0.12, replicas),
    (0.35, generators),
    (0.4, patches),
    (0.08, old_patches),
    (0.15, replacements),
    (0.08, variables),
    (0.1, configurations),
    (0.04, crds),
    (0.04, openapi),
    (0.1, sort_options),
    (0.08, build_metadata),
    (0.08, plugins),
)


def mistake(folder: Folder) -> None:
    """Something that has no place in a kustomization file."""
    rng = folder.rng
    roll = rng.randint(0, 7)
    if roll == 0:
        folder.fields[rng.choice(("resource", "nameprefix", "Images", "unknown"))] = ["a"]
    elif roll == 1:
        folder.fields.setdefault("resources", []).append("missing.yaml")
    elif roll == 2:
        folder.fields["namespace"] = rng.choice((Raw("1"), ["a"], {"a": 1}))
    elif roll == 3:
        folder.fields["apiVersion"] = rng.choice(("v1", "kustomize.config.k8s.io/v1"))
    elif roll == 4:
        folder.fields["kind"] = rng.choice(("Kustomize", "Component", "kustomization"))
    elif roll == 5:
        folder.fields.setdefault("resources", []).append(rng.choice(("..", ".", "/etc/hostname", "../../x", "nowhere/")))
    elif roll == 6:
        folder.fields["patches"] = rng.choice(
            ([{"patch": "not a patch"}], [{"path": "missing.yaml"}], [{}], [None], "text", [{"patch": "a: b\n", "path": "x"}])
        )
    else:
        resources = folder.fields.get("resources")
        if resources:
            resources.append(resources[0])


def shuffled(rng: random.Random, fields: Value) -> Value:
    """Fields in any order."""
    items = list(fields.items())
    if rng.random() < 0.5:
        rng.shuffle(items)
    return dict(items)


def file_name(text: str) -> str:
    """A name for a file from a kind."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", text).lower()
