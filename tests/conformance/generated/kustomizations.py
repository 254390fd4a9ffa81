"""The fields of a kustomization file, chosen to hit the objects below it (mostly)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from . import configured, copying, data, folders, manifests, patches
from .folders import Folder
from .manifests import Value
from .writing import Alias, Anchor, Raw


def namespace(folder: Folder) -> None:
    folder.fields["namespace"] = folder.rng.choice(
        (*manifests.NAMESPACES, "prod", *(("123", "true") if folder.rng.random() < 0.1 else ()))
    )


def affixes(folder: Folder) -> None:
    if folder.rng.random() < 0.7:
        folder.fields["namePrefix"] = folder.rng.choice(("dev-", "a-", "team.", "x", "dev-", "a-", "1", "0x"))
    if folder.rng.random() < 0.5:
        folder.fields["nameSuffix"] = folder.rng.choice(("-v1", "-b", "1", "e1"))


def labels(folder: Folder) -> None:
    rng = folder.rng
    entries = []
    for _ in range(rng.randint(1, 2)):
        entry: Value = {"pairs": folders.label_texts(rng)}
        if rng.random() < 0.4:
            entry["includeSelectors"] = rng.choice((True, False))
        if rng.random() < 0.4:
            entry["includeTemplates"] = rng.choice((True, False))
        if rng.random() < 0.2:
            entry["fields"] = [folders.field_spec(rng, "metadata/labels")]
        entries.append(entry)
    folder.fields["labels"] = entries


def common_labels(folder: Folder) -> None:
    folder.fields["commonLabels"] = folders.label_texts(folder.rng)


def common_annotations(folder: Folder) -> None:
    folder.fields["commonAnnotations"] = folders.texts(folder.rng)


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
            entry["newName"] = rng.choice(("mirror/nginx", "my.io:80/a/b", "postgres", *(("12",) if rng.random() < 0.1 else ())))
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


FIELDS: tuple[tuple[float, Callable[[Folder], None]], ...] = (
    (0.35, namespace),
    (0.3, affixes),
    (0.25, labels),
    (0.12, common_labels),
    (0.2, common_annotations),
    (0.25, images),
    (0.12, replicas),
    (0.35, data.generators),
    (0.4, patches.patches),
    (0.08, patches.old_patches),
    (0.15, copying.replacements),
    (0.08, copying.variables),
    (0.1, configured.configurations),
    (0.04, configured.crds),
    (0.04, configured.openapi),
    (0.1, configured.sort_options),
    (0.08, configured.build_metadata),
    (0.08, configured.plugins),
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


def with_anchor(fields: Value) -> Value:
    """The same texts as labels and annotations, written once."""
    texts = fields.get("commonAnnotations")
    if texts is None or "commonLabels" in fields or any(value == "" or " " in value for value in texts.values()):
        return fields
    rest = {key: value for key, value in fields.items() if key != "commonAnnotations"}
    return {"commonAnnotations": Anchor("texts", texts), **rest, "commonLabels": Alias("texts")}


def file_name(text: str) -> str:
    """A name for a file from a kind."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", text).lower()
