"""Which step of a build changed which field of which object.

A Recorder watches a build: the values before and after every step are compared, so what it says is what happened, not
what a step meant to do. That costs a copy of everything per step and is done only when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.model.errors import Place
from penstock.model.fieldpath import FieldPath, Keyed, Step
from penstock.model.rendered import Rendered, RenderedObject
from penstock.model.tree import Tree
from penstock.render import engine, flux
from penstock.render.accumulating import Build
from penstock.render.loading import Loader
from penstock.render.options import Options
from penstock.render.resources import Resource
from penstock.yamldoc import composing
from penstock.yamldoc.reading import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one step did to one object."""

    what: str
    """The step: 'namePrefix', 'patches web.yaml', 'images' ..."""
    place: Place | None
    """Its line in the kustomization; None for what every build does at its end."""
    fields: tuple[FieldPath, ...]
    """The topmost fields that are new, gone or different; () is not among them."""

    def touches(self, path: FieldPath) -> bool:
        """Whether the field, something below it or something it is part of was changed."""
        return any(_overlap(field, path) for field in self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """An object with its way through the build."""

    object: RenderedObject
    changes: tuple[Change, ...]
    start: Mapping[str, Any] | None
    """Its value as its file has it; None when it was generated."""
    name: str
    """Its name before any step."""
    document: Document | None = None
    """Its own file's."""
    path: FieldPath = ()
    """Where it is in that document."""

    def source_of(self, path: FieldPath) -> Place:
        """The line that gives a field its value: the last step that touched it, else the object's own file."""
        for change in reversed(self.changes):
            if change.place is not None and change.touches(path):
                return change.place
        return self.document.place((*self.path, *path)) if self.document is not None else self.object.origin.place


class Recorder:
    """Watches the steps of one build."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._changes: dict[int, list[Change]] = {}
        self._first: dict[int, tuple[str, Any]] = {}
        self._alive: list[Resource] = []

    def before(self, resources: Iterable[Resource]) -> None:
        """Look at everything before a step."""
        self._before = {}
        for resource in resources:
            self._before[id(resource)] = composing.copied(resource.value)
            if id(resource) not in self._first:
                self._alive.append(resource)  # ids are only unique among the living
                self._first[id(resource)] = (resource.name, self._before[id(resource)])

    def after(self, resources: Iterable[Resource], what: str, place: Place | None) -> None:
        """Compare after a step."""
        for resource in resources:
            if id(resource) in self._before:
                fields = tuple(differences(self._before[id(resource)], resource.value))
                if fields:
                    self._changes.setdefault(id(resource), []).append(Change(what=what, place=place, fields=fields))

    def traced(self, resource: Resource, rendered: RenderedObject) -> Traced:
        """What was seen of a resource."""
        name, start = self._first.get(id(resource), (resource.name, None))
        return Traced(
            object=rendered,
            changes=tuple(self._changes.get(id(resource), ())),
            start=start if resource.document is not None else None,
            name=name,
            document=resource.document,
            path=resource.path,
        )


def build(tree: Tree, path: str, options: Options = Options()) -> list[Traced]:  # noqa: B008 - frozen
    """Every object of a `kustomize build` with its changes. Raises InputError."""
    work = Build(Loader(tree, options.restriction), options, None)
    work.recorder = Recorder()
    resources = engine.run(work, engine.open_root(work, path))
    return _traced(work.recorder, resources, engine.finished(work, resources, options))


def flux_build(tree: Tree, spec: Mapping[str, Any], *, name: str, namespace: str) -> list[Traced]:
    """Every object that a Flux Kustomization applies with its changes. Raises InputError."""
    recorder = Recorder()
    resources, rendered = flux.watched(tree, spec, name, namespace, recorder)
    return _traced(recorder, resources, rendered)


def _traced(recorder: Recorder, resources: list[Resource], rendered: Rendered) -> list[Traced]:
    return [recorder.traced(resource, item) for resource, item in zip(resources, rendered.objects, strict=True)]


def differences(old: Any, new: Any, path: FieldPath = ()) -> Iterator[FieldPath]:
    """The topmost paths at which two values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if key not in old or key not in new:
                yield (*path, key)
            else:
                yield from differences(old[key], new[key], (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_differences(old, new, path)
    elif type(old) is not type(new) or old != new:
        yield path


def _list_differences(old: list[Any], new: list[Any], path: FieldPath) -> Iterator[FieldPath]:
    names_before, names_after = _names(old), _names(new)
    if names_before is None or names_after is None:
        for index in range(max(len(old), len(new))):
            if index >= len(old) or index >= len(new):
                yield (*path, index)
            else:
                yield from differences(old[index], new[index], (*path, index))
        return
    before, after = dict(zip(names_before, old, strict=True)), dict(zip(names_after, new, strict=True))
    for name in dict.fromkeys([*names_before, *names_after]):
        step: Step = Keyed((("name", name),))
        if name not in before or name not in after:
            yield (*path, step)
        else:
            yield from differences(before[name], after[name], (*path, step))


def _names(items: list[Any]) -> list[str] | None:
    """The names of a list whose items all have one of their own."""
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    texts = [name for name in names if isinstance(name, str)]
    return texts if len(texts) == len(items) and len(set(texts)) == len(texts) else None


def _overlap(one: FieldPath, other: FieldPath) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]
