"""What is fuzzed: functions from bytes that may raise what their docstrings name, and nothing else.

Beyond not crashing, each target states a law that holds for every input.
"""

from __future__ import annotations

import contextlib
import copy
import posixpath
import random
from collections.abc import Callable
from typing import Any

from penstock import render
from penstock.model.errors import InputError
from penstock.model.tree import MemoryTree
from penstock.render import jsonpatch, loading, patching, patterns, strategic, substituting
from penstock.render.resources import Resource
from penstock.render.schema import Schema
from penstock.yamldoc import composing, emitting, reading, scalars

Target = Callable[[bytes], None]


def yaml(data: bytes) -> None:
    """The fast reader agrees with the exact one; what can be printed reads back as it was."""
    quick = _outcome(data, exact=False)
    assert quick == _outcome(data, exact=True), "the two readers differ"
    with contextlib.suppress(InputError):
        for document in reading.load_all(data, "a.yaml"):
            document.place(("spec", "containers", 0, "name"))
            printed = emitting.emit(document.value)
            again = reading.load_sigs(printed.encode(), "a.yaml", reading.LENIENT)
            value = None if again is None else again.value
            assert value == document.value, "printed and read again it is another value"
            assert emitting.emit(value) == printed, "printed twice it is another text"


def _outcome(data: bytes, *, exact: bool) -> str:
    suspicious = reading._suspicious
    try:
        if exact:
            reading._suspicious = lambda _part: True
        documents = reading.load_all(data, "a.yaml")
        return repr([(document.value, document.line) for document in documents])
    except InputError as error:
        return str(error)
    finally:
        reading._suspicious = suspicious


def kustomization_file(data: bytes) -> None:
    """Reading a kustomization file ends in a value or in problems with places."""
    for leniency in (reading.STRICT, reading.LENIENT):
        try:
            reading.load_sigs(data, "kustomization.yaml", leniency)
        except InputError as error:
            assert all(problem.where is not None for problem in error.problems)


def scalar(data: bytes) -> None:
    """A scalar resolves to a JSON value whose text resolves to the same value."""
    text = data.decode(errors="replace")[:200]
    for resolve in (scalars.resolve, scalars.resolve_sigs):
        try:
            value = resolve(text)
        except scalars.NotFiniteError:
            continue
        assert value is None or isinstance(value, bool | int | float | str)
        assert isinstance(scalars.text_of(value), str)
    if text.isprintable():
        document = reading.load_sigs(emitting.emit({"v": text}).encode(), "a.yaml")
        assert document is not None
        assert document.value == {"v": text}, "a text did not stay a text"


_TREE: dict[str, bytes | str] = {
    "base/kustomization.yaml": b"resources: [web.yaml]\n",
    "base/web.yaml": b"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: web:1
        env:
        - {name: A, value: "1"}
        - name: B
          valueFrom: {configMapKeyRef: {name: settings, key: b}}
        ports: [{containerPort: 80, protocol: TCP}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}], selector: {app: web}}
""",
    "app/settings.env": b"A=1\nB=2\n",
    "app/patch.yaml": b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n",
    "app/link": "../base",
    "app/loop": "loop",
    "app/out": "../../../etc",
    "component/kustomization.yaml": b"apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: c-\n",
}


def kustomization(data: bytes) -> None:
    """A build of any kustomization gives objects or problems, twice the same, and reads nothing outside the tree."""
    tree = MemoryTree({**_TREE, "app/kustomization.yaml": data})
    try:
        built = render.build(tree, "app")
    except InputError as error:
        assert error.problems
        return
    assert render.emit(built) == render.emit(render.build(tree, "app")), "two builds, two results"
    assert render.printed(tree, "app").data == render.emit(built)
    assert not any(path.startswith(("/", "..")) for path in built.inputs)


def flux(data: bytes) -> None:
    """The same through Flux's fields, with the document as the spec."""
    try:
        document = reading.load_sigs(data, "spec.yaml")
    except InputError:
        return
    if document is not None and isinstance(document.value, dict):
        with contextlib.suppress(InputError):
            render.flux_build(MemoryTree(_TREE), {"path": "base", **document.value}, name="a", namespace="b")


def path(data: bytes) -> None:
    """Whatever a path says, what it leads to lies in the tree, and below the root for files."""
    text = data.decode(errors="replace")
    for restriction in ("rootOnly", "none"):
        loader = loading.Loader(MemoryTree(_TREE), "none" if restriction == "none" else "rootOnly")
        try:
            real, entry = loader.find("app", text)
        except loading.LoadError:
            continue
        assert real != ".." and not real.startswith(("/", "../")), "outside the tree"
        assert posixpath.normpath(real or ".") == (real or ".")
        if entry is not None and entry.kind == "file" and restriction == "rootOnly":
            assert real.startswith("app/"), "outside the root"


_WEB: dict[str, Any] = reading.load_all(bytes(_TREE["base/web.yaml"]), "web.yaml")[0].value  # type: ignore[arg-type]


def patch(data: bytes) -> None:
    """A patch applies or is refused, and never changes itself; a strategic merge twice is the same as once, or refused."""
    try:
        documents = reading.load_all(data, "patch.yaml")
    except InputError:
        return
    for document in documents:
        value = document.value
        if isinstance(value, list):
            try:
                operations = jsonpatch.check(composing.copied(value))
            except ValueError:
                continue
            with contextlib.suppress(jsonpatch.PatchError):
                jsonpatch.apply(copy.deepcopy(_WEB), operations)
        elif isinstance(value, dict):
            _merge(value)


def _merge(value: dict[str, Any]) -> None:
    merger = strategic.Merger(Schema(), patching.FieldSpelling(Resource({}), Resource({})))
    before = copy.deepcopy(value)
    with contextlib.suppress(strategic.MergeError):
        merged = merger.merge(copy.deepcopy(_WEB), composing.copied(value))
        assert value == before, "the patch itself was changed"
        if isinstance(merged, dict):
            with contextlib.suppress(InputError):
                emitting.emit(merged)


def pattern(data: bytes) -> None:
    """A pattern compiles or is refused, and takes time that grows with the text only."""
    text = data.decode(errors="replace")[:60]
    try:
        compiled = patterns.compiled(text)
    except patterns.PatternError:
        return
    for subject in ("", "a" * 300 + "!", text, "web:1@sha256:0"):
        compiled.search(subject)
        compiled.full_match(subject)


def substitution(data: bytes) -> None:
    """Substitution ends in a text or in a position inside the text."""
    text = data.decode(errors="replace")
    for strict in (True, False):
        try:
            substituting.substitute(text, {"a": "x", "b": "y/z.1", "c": ""}, strict=strict)
        except substituting.SubstituteError as error:
            assert 0 <= error.position <= len(text)


TARGETS: dict[str, Target] = {
    "yaml": yaml,
    "kustomization-file": kustomization_file,
    "scalar": scalar,
    "kustomization": kustomization,
    "flux": flux,
    "path": path,
    "patch": patch,
    "pattern": pattern,
    "substitution": substitution,
}


def seeded(seed: int) -> random.Random:
    return random.Random(seed)
