"""What Flux's kustomize-controller would apply for a Kustomization: kustomize build plus Flux's own fields.

In: the tree of the source and the `spec` of a kustomize.toolkit.fluxcd.io Kustomization. Out: the rendered objects, in
the order of the input as Flux builds them, after postBuild substitution and commonMetadata, before any owner labels.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from penstock.model import flux
from penstock.model.errors import InputError, Place, Problem
from penstock.model.rendered import Rendered
from penstock.model.tree import Tree
from penstock.render import engine, kustomization, loading, substituting
from penstock.render.accumulating import Build, Layer
from penstock.render.budget import Clock
from penstock.render.caching import Cache
from penstock.render.kustomization import Kustomization
from penstock.render.loading import Decrypt, Loader, LoadError
from penstock.render.options import Options
from penstock.render.origins import OriginNote
from penstock.render.resources import Resource
from penstock.yamldoc import composing, emitting, reading, scalars

if TYPE_CHECKING:
    from penstock.render.tracing import Recorder

SUBSTITUTE: Final = "kustomize.toolkit.fluxcd.io/substitute"
_OPTIONS: Final = Options(reorder="none", restriction="none")


def flux_build(
    tree: Tree,
    spec: Mapping[str, Any],
    *,
    name: str,
    namespace: str,
    variables: Mapping[str, str] | None = None,
    strict: bool = True,
    options: Options = _OPTIONS,
    cache: Cache | None = None,
    decrypt: Decrypt | None = None,
    clock: Clock | None = None,
) -> Rendered:
    """Build `spec.path` of the tree the way Flux does.

    `variables` are the values of postBuild (substituteFrom and substitute together), which the caller reads; with None
    only `spec.postBuild.substitute` is used. `decrypt` opens encrypted files as they are read, and encrypted entries of
    Secrets; without it they stay as they are. `strict` makes a variable that is not set an error, as Flux does since 2.9.
    `clock` counts CPU seconds for the budget of Options. Raises InputError with every problem.
    """
    if clock is not None:
        options = replace(options, clock=clock)

    def make() -> Rendered:
        return _build(tree, spec, name, namespace, variables, strict, options, cache, decrypt=decrypt)[1]

    if cache is None:
        return make()
    keys = decrypt.id if decrypt is not None else ""
    values = tuple(sorted((variables or {}).items()))
    key = ("flux", namespace, name, emitting.emit(_plain(spec)), values, strict, options, keys)
    return cache.build(key, tree, make)


def watched(
    tree: Tree, spec: Mapping[str, Any], name: str, namespace: str, recorder: Recorder
) -> tuple[list[Resource], Rendered]:
    """The same build with somebody watching every step."""
    return _build(tree, spec, name, namespace, None, True, _OPTIONS, None, recorder)


def _plain(value: Any) -> Any:
    """The spec as plain containers, so that equal specs have equal keys."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _build(
    tree: Tree,
    spec: Mapping[str, Any],
    name: str,
    namespace: str,
    variables: Mapping[str, str] | None,
    strict: bool,
    options: Options,
    cache: Cache | None,
    recorder: Recorder | None = None,
    decrypt: Decrypt | None = None,
) -> tuple[list[Resource], Rendered]:
    owner = Place(path=f"Kustomization/{namespace}/{name}")
    work = Build(Loader(tree, options.restriction, decrypt=decrypt), options, cache)
    work.recorder = recorder
    layer = _open(work, spec, owner)
    if layer is None:
        resources: list[Resource] = []
    else:
        resources = engine.run(work, layer)
    resources = [resource for resource in resources if not _is_kustomize_file(resource)]
    if decrypt is not None:
        _open_entries(resources, decrypt)
    with work.recorded(resources, "postBuild", owner):
        _substitute(work, resources, spec, variables, strict, owner)
    with work.recorded(resources, "commonMetadata", owner):
        _common_metadata(resources, spec, f"commonMetadata {owner}")
    return resources, engine.finished(work, resources, options)


def _is_kustomize_file(resource: Resource) -> bool:
    return resource.kind == "Kustomization" and resource.api_version.startswith("kustomize.config.k8s.io/")


def _open(work: Build, spec: Mapping[str, Any], owner: Place) -> Layer | None:
    """The kustomization of spec.path with Flux's fields in it, a generated one for a plain directory."""
    path = _text(spec, "path", owner)
    try:
        root = work.loader.directory(loading.inside(path.lstrip("/") if path not in ("", "/") else ""))
    except LoadError as error:
        if error.code in ("NotFound", "NotADirectory"):
            what = f"kustomization path not found: stat {path}: no such file or directory"
            raise InputError([Problem(what=what, where=owner, code="PathNotFound", hint=error.hint)]) from None
        raise InputError([Problem(what=f"spec.path: {error.what}", where=owner, code=error.code, hint=error.hint)]) from None
    try:
        if any(_is_file(work, posixpath.join(root, file)) for file in kustomization.FILE_NAMES):
            layer = work.load(root, (), (), None, None)
        else:
            parsed = _generated(work, root, owner)
            if parsed is None:
                return None
            layer = work.layer(parsed, root, (), (), None, None)
    except LoadError as error:
        raise InputError([Problem(what=error.what, where=Place(path=root or "."), code=error.code, hint=error.hint)]) from None
    fields = _with_spec(work, layer.kustomization, root, spec, owner)
    layer.kustomization = replace(layer.kustomization, fields=fields)
    layer.build_metadata = tuple(fields.get("buildMetadata") or ())
    if layer.build_metadata and layer.origin is None:
        layer.origin = OriginNote()
    return layer


def _is_file(work: Build, path: str) -> bool:
    _real, entry = work.loader.resolve(path)
    return entry is not None and entry.kind == "file"


def _generated(work: Build, root: str, owner: Place) -> Kustomization | None:
    """A kustomization that lists every manifest below a plain directory; None when there is none."""
    found: list[str] = []
    _scan(work, root, root, found)
    path = posixpath.join(root, "kustomization.yaml")
    if not found:
        work.warn("no manifests were found in the directory", Place(path=root or "."), (), "NoManifests")
        return None
    fields: dict[str, Any] = {"resources": found}
    document = reading.Document(value=fields, path=f"{path} (generated)", line=1, source=emitting.emit(fields), flavour="sigs")
    return Kustomization(path=path, fields=fields, document=document, component=False)


def _scan(work: Build, root: str, directory: str, found: list[str]) -> None:
    """Flux's walk: names in order, .yaml and .yml files, folders with a kustomization as a whole."""
    for name in work.loader.names(directory):
        path = posixpath.join(directory, name)
        relative = path[len(root) :].lstrip("/")
        seen = work.loader.tree.entry(path)
        if seen is not None and seen.kind == "file" and not name.endswith((".yaml", ".yml")):
            continue
        real, entry = work.loader.resolve(path)
        if entry is None:
            continue
        if entry.kind == "directory":
            if real != path:
                continue  # a linked folder: Flux's walk does not enter it
            if any(_is_file(work, posixpath.join(path, file)) for file in kustomization.FILE_NAMES):
                found.append(relative)
            else:
                _scan(work, root, path, found)
        elif entry.kind == "file" and name.endswith((".yaml", ".yml")):
            found.append(relative)


def _text(spec: Mapping[str, Any], field: str, owner: Place) -> str:
    value = spec.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError([Problem(what=f"spec.{field} is not a string", where=owner, code="FluxSpec")])
    return value


def _with_spec(work: Build, parsed: Kustomization, root: str, spec: Mapping[str, Any], owner: Place) -> dict[str, Any]:
    """The kustomization's fields with those of the Flux object put over or after them."""
    fields = dict(parsed.fields)
    for ours, theirs in (("targetNamespace", "namespace"), ("namePrefix", "namePrefix"), ("nameSuffix", "nameSuffix")):
        text = _text(spec, ours, owner)
        if text:
            fields[theirs] = text
    problems: list[Problem] = []
    document = reading.Document(value=_plain(spec), path=owner.path, line=1, source=b"")

    def typed(name: str, shape: Any) -> list[Any]:
        value = spec.get(name)
        if value is None:
            return []
        checked = kustomization.checked(_plain(value), [shape], document, (name,), problems)
        return [item or {} if isinstance(shape, dict) else item for item in checked or []]

    patches = typed("patches", kustomization.PATCH)
    images = typed("images", kustomization.IMAGE)
    components = typed("components", "str")
    metadata = typed("buildMetadata", "str")
    if problems:
        raise InputError(problems)
    fields["patches"] = [*(fields.get("patches") or []), *patches]
    fields["images"] = _merged_images(fields.get("images") or [], images)
    fields["components"] = [*(fields.get("components") or []), *_present(work, root, components, spec)]
    if metadata:
        fields["buildMetadata"] = list(dict.fromkeys([*(fields.get("buildMetadata") or []), *metadata]))
    return fields


def _merged_images(own: list[dict[str, Any]], more: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Flux's entries win field by field over those of the same name."""
    result = [dict(entry or {}) for entry in own]
    for entry in more:
        known = next((image for image in result if image.get("name") == entry.get("name")), None)
        if known is None:
            result.append(dict(entry))
            continue
        known.update({field: value for field, value in entry.items() if value})
        if entry.get("newTag") and not entry.get("digest"):
            known.pop("digest", None)
        if entry.get("digest") and not entry.get("newTag"):
            known.pop("newTag", None)
    return result


def _present(work: Build, root: str, components: list[str], spec: Mapping[str, Any]) -> list[str]:
    if not spec.get("ignoreMissingComponents"):
        return components
    result = []
    for path in components:
        try:
            _real, entry = work.loader.find(root, path)
        except LoadError:
            entry = None
        if entry is not None:
            result.append(path)
    return result


def _substitute(
    work: Build,
    resources: list[Resource],
    spec: Mapping[str, Any],
    variables: Mapping[str, str] | None,
    strict: bool,
    owner: Place,
) -> None:
    """postBuild: every object's text through envsubst, then read again. Raises InputError with all objects' problems."""
    post_build = spec.get("postBuild")
    if not isinstance(post_build, Mapping):
        return
    inline = post_build.get("substitute")
    values = dict(variables) if variables is not None else dict(inline) if isinstance(inline, Mapping) else {}
    problems: list[Problem] = [
        Problem(
            what=f"'{name}' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'",
            where=owner,
            code="VariableName",
        )
        for name in values
        if not substituting.NAME.match(name)
    ]
    if not values and post_build.get("substituteStrategy") != "Always":
        return
    values = {name: str(value).replace("\n", "") for name, value in values.items()}
    for resource in work.budget.watched(resources):
        if SUBSTITUTE in _marks(resource):
            continue
        text = emitting.emit(resource.value)
        if "$" not in text:
            continue
        problem = _substitute_one(resource, text, lambda text: substituting.substitute(text, values, strict=strict))
        if problem is not None:
            problems.append(problem)
    if problems:
        raise InputError(problems)


def _marks(resource: Resource) -> set[str]:
    """Substitution switched off by label or annotation."""
    return {
        key
        for field in ("labels", "annotations")
        for key, text in resource.texts(field).items()
        if key == SUBSTITUTE and text == "disabled"
    }


def _substitute_one(resource: Resource, text: str, substitute: Callable[[str], str]) -> Problem | None:
    where = resource.found_at()
    shown = "/".join(part for part in (resource.kind, resource.namespace, resource.name) if part)
    try:
        result = substitute(text)
    except substituting.SubstituteError as error:
        line = text.count("\n", 0, error.position) + 1
        field = text.split("\n")[line - 1].split(":")[0].strip(" -'\"")
        return Problem(
            what=f"{error.what} (in {shown}, field '{field}')",
            where=where,
            hint="set the variable in postBuild, give a default with ${name:-default}, or write $${name} for the text itself",
            code="Substitution",
        )
    if result == text:
        return None
    try:
        document = reading.load_sigs(result.encode(), where.path if where is not None else shown, reading.LENIENT)
    except InputError as error:
        return Problem(
            what=f"{shown} is not valid YAML after substitution: {error.problems[0].what}",
            where=where,
            hint="a value with ':' or '#' in it needs quotes around the expression",
            code="Substitution",
        )
    if document is None or not isinstance(document.value, dict):
        return Problem(what=f"{shown} is empty after substitution", where=where, code="Substitution")
    resource.value = composing.copied(document.value)
    resource.touched("postBuild substitution")
    return None


def _open_entries(resources: list[Resource], decrypt: Decrypt) -> None:
    """Entries of Secrets that hold a whole encrypted file, as Flux opens them. Raises InputError with all problems."""
    problems: list[Problem] = []
    for resource in resources:
        data = resource.value.get("data")
        if resource.kind != "Secret" or not isinstance(data, dict) or _decryption_is_off(resource):
            continue
        place = resource.place or (resource.document.place() if resource.document is not None else None)
        for key, text in list(data.items()):
            try:
                content = base64.b64decode(str(text), validate=False)
                found = decrypt.content(place.path if place is not None else "", content, str(key))
            except binascii.Error:
                continue
            except InputError as error:
                what = f"failed to decrypt Secret field '{key}': {error.problems[0].what}"
                problems.append(Problem(what=what, where=place, hint=error.problems[0].hint, code=error.code))
                continue
            if found is not content:
                data[key] = base64.b64encode(found).decode()
    if problems:
        raise InputError(problems)


def _decryption_is_off(resource: Resource) -> bool:
    return resource.texts("annotations").get(flux.DECRYPT, "").lower() == "disabled"


def _common_metadata(resources: list[Resource], spec: Mapping[str, Any], note: str) -> None:
    """commonMetadata: labels and annotations of every object, over what is there; templates are left alone."""
    common = spec.get("commonMetadata")
    if not isinstance(common, Mapping):
        return
    for field in ("labels", "annotations"):
        texts = common.get(field)
        if not isinstance(texts, Mapping) or not texts:
            continue
        for resource in resources:
            metadata = resource.metadata()
            existing = metadata.get(field)
            merged = dict(existing) if isinstance(existing, dict) else {}
            merged.update({str(key): scalars.text_of(value) for key, value in texts.items()})
            metadata[field] = merged
            resource.touched(note)
