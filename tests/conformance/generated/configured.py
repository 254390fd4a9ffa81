"""Configurations, schemas, order, build metadata, and the built-in transformers as plugins."""

from __future__ import annotations

import json
from typing import Any

from . import folders, patches
from .folders import Folder
from .manifests import Value
from .writing import Writer


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
        {
            "kind": "LabelTransformer",
            "labels": folders.label_texts(rng),
            "fieldSpecs": [{"path": "metadata/labels", "create": True}],
        },
        {
            "kind": "AnnotationsTransformer",
            "annotations": folders.texts(rng),
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
        choices.append({"kind": "PatchTransformer", "patch": Writer(rng).document(patches.merge_patch(rng, known))})
        choices.append(
            {
                "kind": "PatchTransformer",
                "target": {"kind": known.kind},
                "patch": '[{"op": "add", "path": "/metadata/labels", "value": {"p": "q"}}]',
            }
        )
        choices.append(
            {"kind": "PatchStrategicMergeTransformer", "patches": Writer(rng).document(patches.merge_patch(rng, known))}
        )
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
