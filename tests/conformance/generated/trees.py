"""Whole trees: bases, components and overlays over random objects."""

from __future__ import annotations

import random
from typing import Any

from . import kustomizations, manifests
from .case import Case
from .folders import Folder
from .writing import Writer, join


def case(seed: str) -> Case:
    """The tree of a seed."""
    rng = random.Random(seed)
    files: dict[str, bytes | str] = {}
    shape = rng.random()
    taken: set[tuple[str, ...]] = set()
    bases = [_folder(rng, files, f"base{index or ''}", taken, []) for index in range(1 if shape < 0.75 else 2)]
    top = bases[0]
    if shape > 0.15:
        components = [
            _folder(rng, files, f"components/c{index}", taken, [], component=bases[0])
            for index in range(rng.choice((0, 0, 0, 1, 2)))
        ]
        top = _folder(rng, files, "overlays/prod", taken, bases, components=components)
        if rng.random() < 0.2:
            top = _folder(rng, files, "overlays/top", taken, [top])
    return Case(files=files, path=top.path, name=seed)


def _folder(
    rng: random.Random,
    files: dict[str, bytes | str],
    path: str,
    taken: set[tuple[str, ...]],
    below: list[Folder],
    *,
    components: list[Folder] | None = None,
    component: Folder | None = None,
) -> Folder:
    """A directory with its kustomization, over the directories below it."""
    folder = Folder(path, rng, files)
    folder.known = [known for other in below for known in other.known]
    folder.generated = [made for other in below for made in other.generated]
    if component is not None:
        folder.known += component.known
        folder.generated += component.generated
    resources: list[Any] = [_relative(path, other.path) for other in below]
    if not below or rng.random() < 0.4:
        resources += _manifests(folder, taken, rng.randint(1, 4) if not below else 1)
    if resources:
        if below and rng.random() < 0.05:
            folder.fields["bases"] = resources
        else:
            folder.fields["resources"] = resources
    if component is not None:
        folder.fields["apiVersion"] = "kustomize.config.k8s.io/v1alpha1"
        folder.fields["kind"] = "Component"
    elif rng.random() < 0.5:
        folder.fields["apiVersion"] = "kustomize.config.k8s.io/v1beta1"
        folder.fields["kind"] = "Kustomization"
    if components:
        folder.fields["components"] = [_relative(path, other.path) for other in components]
        for other in components:
            folder.known += [known for known in other.known if known not in folder.known]
            folder.generated += other.generated
    calm = 0.5 if not below and component is None else 1.0
    for chance, add in kustomizations.FIELDS:
        if rng.random() < chance * calm:
            add(folder)
    if rng.random() < 0.02:
        kustomizations.mistake(folder)
    name = rng.choices(("kustomization.yaml", "kustomization.yml", "Kustomization"), (30, 2, 1))[0]
    fields = kustomizations.shuffled(rng, folder.fields)
    if rng.random() < 0.04:
        fields = kustomizations.with_anchor(fields)
    text = Writer(rng).document(fields)
    if rng.random() < 0.02:
        text = text.replace("\n", "\r\n")
    files[f"{path}/{name}"] = text.encode("utf-8", "surrogatepass")
    return folder


def _relative(path: str, other: str) -> str:
    return "../" * (path.count("/") + 1) + other


def _manifests(folder: Folder, taken: set[tuple[str, ...]], count: int) -> list[str]:
    """Manifest files with one or several objects each."""
    rng = folder.rng
    names = []
    for _ in range(count):
        texts = []
        kind = "all"
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            made = manifests.make(rng, taken)
            if made is None:
                continue
            value, known = made
            kind = known.kind
            folder.known.append(known)
            if rng.random() < 0.06:
                value = {"apiVersion": "v1", "kind": rng.choice(("List", "List", f"{kind}List")), "items": [value]}
                another = manifests.make(rng, taken) if rng.random() < 0.3 else None
                if another is not None:
                    value["items"].append(another[0])
                    folder.known.append(another[1])
                if rng.random() < 0.1:
                    value = {"apiVersion": "v1", "kind": rng.choice(("List", "OuterList")), "items": [value]}
            texts.append(Writer(rng).document(value))
        if texts:
            names.append(folder.add(f"{kustomizations.file_name(kind)}.yaml", join(rng, texts)))
    return names
