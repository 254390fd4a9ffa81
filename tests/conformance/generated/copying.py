"""Replacements and vars: values copied from one object into others."""

from __future__ import annotations

import random
from typing import Any

from . import manifests
from .folders import Folder
from .manifests import Known, Value
from .patches import TEMPLATED

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
        sure += ["data.copied", "data.k", r"data.config\.json.a.b", "data.settings.server.port"]
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
        if source.namespace and rng.random() < 0.2:
            entry["source"]["namespace"] = source.namespace
        if rng.random() < 0.06:
            entry["source"]["options"] = {"delimiter": rng.choice(("-", ":", "/")), "index": rng.choice((0, 1, -1))}
        if rng.random() < 0.06:
            entry = {"sourceValue": rng.choice(("literal", "1", ""))}
        select: Value = {"kind": target.kind}
        if rng.random() < 0.7:
            select["name"] = target.name
        if rng.random() < 0.1:
            group, _, version = target.api_version.rpartition("/")
            select |= {"version": version, **({"group": group} if group else {})}
        if rng.random() < 0.08:
            select[rng.choice(("labelSelector", "annotationSelector"))] = rng.choice(("app", "app=web", "!tier", "env in (prod)"))
        paths = [_target_path(rng, target) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        goal: Value = {"select": select, "fieldPaths": paths}
        if rng.random() < 0.15:
            goal["reject"] = [
                rng.choice(
                    ({"name": rng.choice(manifests.APPS)}, {"kind": target.kind, "labelSelector": "app"}, {"kind": "Widget"})
                )
            ]
        if rng.random() < 0.85:
            goal["options"] = {"create": True}
        if rng.random() < 0.07:
            goal.setdefault("options", {}).update(
                {"delimiter": rng.choice((":", "/", "-")), "index": rng.choice((0, 1, 2, -1, 9))}
            )
        entry["targets"] = [goal]
        other = folder.target()
        if other is not None and rng.random() < 0.15:
            more: Value = {"select": {"kind": other.kind, "name": other.name}, "fieldPaths": [_target_path(rng, other)]}
            entry["targets"].append({**more, "options": {"create": True}})
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
