"""What the directories of a repository say: environments, units, and the Flux objects that sync them.

In: a tree. Out: values of `model.pipeline`. Rules:
- an environment is a directory `clusters/<name>` with a kustomization file, unless penstock.yaml lists environments;
- usual names are ordered dev, test, qa, uat, staging, preprod, prod (with their common spellings) and each is promoted
  from the one before; other names come after, by the alphabet, and nothing is promoted into them until penstock.yaml
  says from where: guessing there could put a change into the wrong cluster;
- a unit is a directory `<environment>/apps/<app>`; its line in `apps/kustomization.yaml` belongs to it; what belongs
  to no app, except the Flux objects and their directory, is the environment's remainder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from penstock.model.errors import Place, Problem
from penstock.model.pipeline import REMAINDER, Environment, FluxObject, Unit
from penstock.model.tree import Tree
from penstock.model.values import EnvName
from penstock.source import document

CLUSTERS = "clusters"
APPS = "apps"
KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_YAML = (".yaml", ".yml")
_FLUX_GROUPS = {"kustomize.toolkit.fluxcd.io": "Kustomization", "source.toolkit.fluxcd.io": "GitRepository"}

_USUAL = (
    ("dev", "develop", "development"),
    ("test", "testing"),
    ("qa",),
    ("uat",),
    ("staging", "stage", "stg"),
    ("preprod", "pre-prod", "preproduction"),
    ("prod", "production", "prd", "live"),
)
_RANK = {name: rank for rank, names in enumerate(_USUAL) for name in names}


def environments(tree: Tree, problems: list[Problem]) -> list[Environment]:
    """The environments of a repository without penstock.yaml, in order."""
    names = [name for name in _directories(tree, CLUSTERS) if kustomization_file(tree, f"{CLUSTERS}/{name}")]
    known = sorted((name for name in names if name in _RANK), key=lambda name: (_RANK[name], name))
    other = sorted(name for name in names if name not in _RANK)
    if other and len(names) > 1:
        what = f"nothing is promoted into {', '.join(other)}: the order of these names is not known"
        hint = "write penstock.yaml with an environment and its promoteFrom for each"
        problems.append(Problem(what=what, hint=hint, code="UnknownOrder", severity="warning", where=Place(path=CLUSTERS)))
    found: list[Environment] = []
    previous: tuple[EnvName, ...] = ()
    for name in known:
        found.append(_environment(name, previous))
        previous = (EnvName(name),)
    return found + [_environment(name, ()) for name in other]


def _environment(name: str, promote_from: tuple[EnvName, ...]) -> Environment:
    return Environment(name=EnvName(name), paths=(f"{CLUSTERS}/{name}",), cluster=name, promote_from=promote_from)


def units(tree: Tree, paths: Sequence[str]) -> tuple[Unit, ...]:
    """Apps of an environment by name, then its remainder."""
    found: dict[str, list[str]] = {}
    for path in paths:
        for name in _directories(tree, f"{path}/{APPS}"):
            found.setdefault(name, []).append(f"{path}/{APPS}/{name}")
    apps = [Unit(name=name, kind="app", directories=tuple(found[name])) for name in sorted(found) if name != REMAINDER]
    return (*apps, Unit(name=REMAINDER, kind="environment", directories=tuple(paths)))


def flux_objects(tree: Tree, paths: Iterable[str], problems: list[Problem]) -> list[FluxObject]:
    """Every Flux Kustomization and GitRepository written in YAML files below `paths`, apps left out."""
    found: list[FluxObject] = []
    for path in paths:
        for file in _yaml_files(tree, path, skip=f"{path}/{APPS}"):
            data = tree.read(file)
            if b".toolkit.fluxcd.io" not in data:
                continue
            documents, wrong = document.load_all(data, file)
            problems += wrong
            found += [item for one in documents if (item := _flux_object(one))]
    return found


def _flux_object(one: document.Document) -> FluxObject | None:
    value = one.value
    if not isinstance(value, dict) or not isinstance(value.get("apiVersion"), str):
        return None
    group = value["apiVersion"].rpartition("/")[0]
    if _FLUX_GROUPS.get(group) != value.get("kind") or not isinstance(value.get("metadata"), dict):
        return None
    return FluxObject(manifest=value, place=one.place(()))


def syncing(
    environment: Environment, objects: Sequence[FluxObject], problems: list[Problem]
) -> tuple[FluxObject | None, FluxObject | None]:
    """The Kustomization whose path is the environment's first path, and the GitRepository it names."""
    kustomizations = [item for item in objects if item.manifest["kind"] == "Kustomization"]
    matching = [item for item in kustomizations if _path(item) == environment.root]
    if not matching:
        if environment.paths:
            what = f"environment {environment.name!r} has no Flux Kustomization with path ./{environment.root}"
            where = Place(path=f"{environment.root}")
            hint = "penstock init writes one: see flux-system/gotk-sync.yaml in a new repository"
            problems.append(Problem(what=what, where=where, hint=hint, code="NoSync", severity="warning"))
        return None, None
    if len(matching) > 1:
        what = f"{len(matching)} Flux Kustomizations sync ./{environment.root}: the first one counts"
        problems.append(Problem(what=what, where=matching[1].place, code="DoubleSync", severity="warning"))
    chosen = matching[0]
    reference = chosen.spec.get("sourceRef")
    reference = reference if isinstance(reference, dict) else {}
    wanted = (str(reference.get("namespace") or chosen.namespace), str(reference.get("name") or ""))
    source = next(
        (item for item in objects if item.manifest["kind"] == "GitRepository" and (item.namespace, item.name) == wanted), None
    )
    return chosen, source


def _path(item: FluxObject) -> str:
    path = item.spec.get("path")
    return "/".join(part for part in path.split("/") if part not in ("", ".")) if isinstance(path, str) else ""


def _directories(tree: Tree, path: str) -> list[str]:
    entry = tree.entry(path)
    if entry is None or entry.kind != "directory":
        return []
    names = tree.names(path)
    return [name for name in names if (child := tree.entry(f"{path}/{name}")) and child.kind == "directory"]


def kustomization_file(tree: Tree, path: str) -> str | None:
    """The kustomization file of a directory, or None."""
    for name in KUSTOMIZATION_FILES:
        entry = tree.entry(f"{path}/{name}")
        if entry and entry.kind == "file":
            return f"{path}/{name}"
    return None


def _yaml_files(tree: Tree, path: str, *, skip: str) -> Iterator[str]:
    entry = tree.entry(path)
    if entry is None or entry.kind != "directory":
        return
    for name in tree.names(path):
        child_path = f"{path}/{name}"
        child = tree.entry(child_path)
        if child is None or child_path == skip:
            continue
        if child.kind == "directory":
            yield from _yaml_files(tree, child_path, skip=skip)
        elif child.kind == "file" and name.endswith(_YAML):
            yield child_path
