"""Where an object or a file's content ends up, and what changes it on the way. In: a tree. Out: traced objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock import source
from penstock.app import build
from penstock.model import errors, fieldpath
from penstock.model.errors import Place
from penstock.model.fieldpath import FieldPath, Keyed
from penstock.model.tree import Tree
from penstock.render import tracing
from penstock.render.tracing import Change, Traced


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object in one environment."""

    where: str
    """The environment's name, or the path that was built."""
    traced: Traced
    changes: tuple[Change, ...]
    """Those that were asked for: of the field, or from the file; else all."""
    field: FieldPath = ()

    @property
    def place(self) -> Place:
        """The line that decides: of the field if one was asked for, else the object's own."""
        return self.traced.source_of(self.field) if self.field else self.traced.object.origin.place


def everything(tree: Tree, where: str | None) -> Mapping[str, list[Traced]]:
    """Every environment's objects (or only those of the named environment or path). Raises InputError."""
    if where is not None and tree.entry(where.strip("/")) is not None:
        return {where: tracing.build(tree, where.strip("/"))}
    environments = [build.named(tree, where)] if where is not None else source.discover(tree).environments
    result: dict[str, list[Traced]] = {}
    for environment in environments:
        if environment.kustomization is None:
            result[str(environment.name)] = tracing.build(tree, environment.root)
        else:
            flux = environment.kustomization
            seen = build.sourced(tree, environment)
            result[str(environment.name)] = tracing.flux_build(seen, flux.spec, name=flux.name, namespace=flux.namespace)
    if not result:
        raise errors.invalid(
            "there is no environment here",
            hint="name a folder with a kustomization: penstock trace --in clusters/dev ...",
            code="NoEnvironment",
        )
    return result


def objects(tree: Tree, wanted: str, field: FieldPath = (), where: str | None = None) -> list[Found]:
    """The objects called KIND/NAME, KIND/NAMESPACE/NAME or NAME. Raises InputError when there is none."""
    found = []
    known: set[str] = set()
    for place, traced in everything(tree, where).items():
        for one in traced:
            known.add(f"{one.object.id.kind}/{one.object.id.name}")
            if _is_called(one, wanted):
                changes = tuple(change for change in one.changes if not field or change.touches(field))
                found.append(Found(where=place, traced=one, changes=changes, field=field))
    if not found:
        raise _unknown(wanted, known)
    if not field:
        return found
    having = [one for one in found if one.changes or _has(one.traced.object.manifest, field)]
    if not having:
        raise errors.invalid(f"no object called {wanted!r} has the field {fieldpath.show(field)}", code="UnknownField")
    return having


def file(tree: Tree, path: str, where: str | None = None) -> list[Found]:
    """The objects that are written in a file, or changed by what it says. Raises InputError when there is none."""
    found = []
    for place, traced in everything(tree, where).items():
        for one in traced:
            changes = tuple(change for change in one.changes if _comes_from(change, path))
            if changes or one.object.origin.place.path == path:
                found.append(Found(where=place, traced=one, changes=changes))
    if not found:
        raise errors.invalid(f"nothing that is applied comes from {path}", code="NotTraced")
    return found


def _has(value: object, field: FieldPath) -> bool:
    for step in field:
        if isinstance(step, Keyed) and isinstance(value, list):
            fits = [item for item in value if isinstance(item, dict) and all(item.get(key) == text for key, text in step.keys)]
            if not fits:
                return False
            value = fits[0]
            continue
        try:
            value = value[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _comes_from(change: Change, path: str) -> bool:
    if change.place is None:
        return False
    if change.place.path == path:
        return True
    _step, _, named = change.what.partition(" ")
    folder = change.place.path.rpartition("/")[0]
    return bool(named) and _joined(folder, named) == path


def _joined(folder: str, path: str) -> str:
    import posixpath

    return posixpath.normpath(posixpath.join(folder, path))


def _is_called(one: Traced, wanted: str) -> bool:
    identity = one.object.id
    *qualifiers, name = wanted.split("/")
    if name not in (identity.name, one.name):
        return False
    if qualifiers and qualifiers[0].lower() != identity.kind.lower():
        return False
    return len(qualifiers) < 2 or qualifiers[1] == identity.namespace


def _unknown(wanted: str, known: set[str]) -> errors.InputError:
    import difflib

    near = difflib.get_close_matches(wanted, sorted(known), n=1, cutoff=0.4)
    return errors.invalid(
        f"there is no object {wanted!r}",
        hint=f"did you mean {near[0]}?" if near else "KIND/NAME, KIND/NAMESPACE/NAME or NAME",
        code="UnknownObject",
    )
