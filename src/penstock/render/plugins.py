"""Built-in transformers and generators configured by files or inline: `generators:`, `transformers:`, `validators:`.

Only kustomize's own kinds (apiVersion: builtin) exist here. Everything else would start a process, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from penstock.model.errors import Place
from penstock.render import (
    configuring,
    fieldspecs,
    generating,
    kustomization,
    objects,
    ordering,
    patching,
    paths,
    replacing,
    selecting,
    transforming,
)
from penstock.render.fieldspecs import FieldSpec
from penstock.render.resources import Resource, ResourceSet
from penstock.render.transforming import TransformError
from penstock.yamldoc import reading, scalars

_SPECS: Final = [kustomization.FIELD_SPEC]
_TEXTS: Final = {"*": "str"}
_META: Final = {"name": "str", "namespace": "str", "labels": _TEXTS, "annotations": _TEXTS}
SHAPES: Final[Mapping[str, Any]] = {
    "AnnotationsTransformer": {"annotations": _TEXTS, "fieldSpecs": _SPECS},
    "LabelTransformer": {"labels": _TEXTS, "fieldSpecs": _SPECS},
    "ImageTagTransformer": {"imageTag": kustomization.IMAGE, "fieldSpecs": _SPECS},
    "NamespaceTransformer": {"metadata": _META, "fieldSpecs": _SPECS, "unsetOnly": "bool", "setRoleBindingSubjects": "str"},
    "PatchJson6902Transformer": {"target": kustomization.SELECTOR, "path": "str", "jsonOp": "str"},
    "PatchStrategicMergeTransformer": {"paths": ["str"], "patches": "str"},
    "PatchTransformer": kustomization.PATCH,
    "PrefixTransformer": {"prefix": "str", "fieldSpecs": _SPECS},
    "SuffixTransformer": {"suffix": "str", "fieldSpecs": _SPECS},
    "PrefixSuffixTransformer": {"prefix": "str", "suffix": "str", "fieldSpecs": _SPECS},
    "ReplacementTransformer": {"replacements": [{**kustomization.REPLACEMENT, "path": "str"}]},
    "ReplicaCountTransformer": {"replica": kustomization.REPLICA, "fieldSpecs": _SPECS},
    "ValueAddTransformer": {
        "value": "str",
        "targets": [{"selector": kustomization.SELECTOR, "fieldPath": "str", "filePathPosition": "int"}],
        "targetFilePath": "str",
    },
    "HashTransformer": {},
    "ConfigMapGenerator": {"metadata": _META, **kustomization.GENERATOR},
    "SecretGenerator": {"metadata": _META, **kustomization.SECRET_GENERATOR},
    "IAMPolicyGenerator": {
        "cloud": "str",
        "kubernetesService": {"name": "str", "namespace": "str"},
        "serviceAccount": {"name": "str", "projectId": "str"},
    },
}
GENERATORS: Final = frozenset(("ConfigMapGenerator", "SecretGenerator", "IAMPolicyGenerator"))

ReadFile = Callable[[str], bytes]


class PluginError(Exception):
    """A plugin that is not built in, or a configuration that it does not take."""

    def __init__(self, what: str, code: str = "PluginConfig", hint: str | None = None) -> None:
        super().__init__(what, code, hint)
        self.what = what
        self.code = code
        self.hint = hint


def check_builtin(resource: Resource) -> None:
    """Refuse everything that is not one of kustomize's own kinds. Raises PluginError."""
    annotations = resource.texts("annotations")
    is_function = any(key in annotations for key in ("config.kubernetes.io/function", "config.k8s.io/function"))
    gvk = resource.gvk
    if gvk.group or gvk.version != "builtin" or is_function:
        raise PluginError(
            f"external plugins disabled; unable to load external plugin '{gvk.kind}'",
            "ExternalPlugin",
            "builds start no process; only kustomize's built-in transformers (apiVersion: builtin) are run",
        )
    if gvk.kind == "HelmChartInflationGenerator":
        raise PluginError("Helm charts are not inflated: that would start helm", "HelmChart", "use a Flux HelmRelease")
    if gvk.kind not in SHAPES:
        raise PluginError(f"unable to load builtin {gvk}", "UnknownBuiltin")


def config_of(resource: Resource, path: str) -> dict[str, Any]:
    """The plugin's own fields, in their types. Raises PluginError."""
    document = resource.document or reading.Document(value=resource.value, path=path, line=1, source=b"")
    problems: list[Any] = []
    config: dict[str, Any] = kustomization.checked(resource.value, SHAPES[resource.kind], document, (), problems, "coerce")
    if problems:
        raise PluginError(f"plugin {resource.kind} fails configuration: {problems[0].what}")
    return config


def generate(resource: Resource, config: Mapping[str, Any], read: ReadFile, *, checked: bool = True) -> list[Resource]:
    """What a generator plugin makes. Raises GenerateError and what `read` raises."""
    if resource.kind == "IAMPolicyGenerator":
        return [Resource(_iam_service_account(config))]
    metadata = config.get("metadata") or {}
    entry = {**config}
    entry["name"] = config.get("name") or metadata.get("name") or ""
    entry["namespace"] = config.get("namespace") or metadata.get("namespace") or ""
    make = generating.secret if resource.kind == "SecretGenerator" else generating.config_map
    made = make(entry, read, checked=checked)
    options = entry.get("options") or {}
    return [
        Resource(
            made, needs_hash=not options.get("disableNameSuffixHash"), behavior=entry.get("behavior") or "", place=resource.place
        )
    ]


def _iam_service_account(config: Mapping[str, Any]) -> dict[str, Any]:
    cloud = config.get("cloud")
    if cloud != "gke":
        raise PluginError(f"cloud provider {cloud} not supported yet")
    service, account = config.get("kubernetesService") or {}, config.get("serviceAccount") or {}
    address = f"{account.get('name') or ''}@{account.get('projectId') or ''}.iam.gserviceaccount.com"
    metadata: dict[str, Any] = {
        "annotations": {"iam.gke.io/gcp-service-account": address},
        "name": service.get("name") or "",
    }
    if service.get("namespace"):
        metadata["namespace"] = service["namespace"]
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def specs_of(config: Mapping[str, Any]) -> tuple[FieldSpec, ...]:
    """The fieldSpecs of a configuration."""
    return tuple(configuring.field_spec(entry or {}) for entry in config.get("fieldSpecs") or ())


Transform = Callable[[ResourceSet], None]


def transformer(
    resource: Resource, config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str
) -> Transform:
    """A function that runs the plugin. Configuration mistakes show here, before anything runs. Raises PluginError."""
    maker = _MAKERS.get(resource.kind)
    if maker is None:
        raise PluginError(f"plugin {resource.kind} is not a transformer")
    return maker(config, read, root, leniency, note)


Maker = Callable[[Mapping[str, Any], ReadFile, str, reading.Leniency, str], Transform]


def _labels(config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str) -> Transform:
    texts = config.get("labels") or config.get("annotations") or {}
    specs = specs_of(config)
    return lambda resources: transforming.set_texts(resources, texts, specs, note)


def image_of(entry: Mapping[str, Any], note: str) -> transforming.Image:
    """An entry of `images`."""
    return transforming.Image(
        name=entry.get("name") or "",
        new_name=entry.get("newName") or "",
        tag_suffix=entry.get("tagSuffix") or "",
        new_tag=entry.get("newTag") or "",
        digest=entry.get("digest") or "",
        note=note,
    )


def _images(config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str) -> Transform:
    image = image_of(config.get("imageTag") or {}, note)
    transforming.image_matcher(image.name)
    specs = specs_of(config)
    return lambda resources: transforming.set_images(resources, [image], specs)


def _namespace(config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str) -> Transform:
    mode = config.get("setRoleBindingSubjects") or "defaultOnly"
    if mode not in transforming.SUBJECT_MODES:
        raise PluginError(
            'invalid value for setRoleBindingSubjects: must be one of "defaultOnly", "none" or "allServiceAccounts"'
        )
    namespace = (config.get("metadata") or {}).get("namespace") or ""
    specs = specs_of(config)

    def run(resources: ResourceSet) -> None:
        if namespace:
            transforming.set_namespace(resources, namespace, specs, note, unset_only=bool(config.get("unsetOnly")), subjects=mode)

    return run


def _json6902(config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str) -> Transform:
    target = replacing.parse_selector(config.get("target") or {})
    patch = json6902_patch(target, config.get("path") or "", config.get("jsonOp") or "", read, leniency, note)
    return lambda resources: run_json6902(resources, patch)


def json6902_patch(
    target: selecting.Selector,
    path: str,
    text: str,
    read: ReadFile,
    leniency: reading.Leniency,
    note: str,
    place: Place | None = None,
) -> patching.Patch:
    """A patchesJson6902 entry. Raises PluginError and what reading raises."""
    if not target.name:
        raise PluginError("must specify the target name")
    if not path and not text:
        raise PluginError("empty file path and empty jsonOp")
    if path and text:
        raise PluginError("must specify a file path or jsonOp, not both")
    data = read(path) if path else text.encode()
    if not data:
        raise PluginError(f"patch file '{path}' empty seems to be empty")
    try:
        operations = patching.parse_operations(data, path or "an inline patch", leniency)
    except ValueError as error:
        raise PluginError(f"decoding the patch: {error}") from None
    if not operations:
        raise PluginError(f"patch appears to be empty; file={path}")
    source = f"[path: {path!r}]" if path else "[patch: inline]"
    return patching.Patch(operations=tuple(operations), target=target, source=source, note=note, place=place)


def run_json6902(resources: ResourceSet, patch: patching.Patch) -> None:
    """Apply it to what its target selects; unlike `patches` it does not remember the old names."""
    assert patch.target is not None
    for resource in selecting.select(patch.target, resources):
        patching.apply_operations(resources, resource, patch)
    resources.changed()


def _strategic(config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str) -> Transform:
    files, text = config.get("paths") or [], config.get("patches") or ""
    if not files and not text:
        raise PluginError("empty file path and empty patch content")
    merges = strategic_merges(files, read, root, leniency)
    if text:
        merges += objects.load(text.encode(), "an inline patch", leniency)
    if not merges:
        raise PluginError(f"patch appears to be empty; files=[{' '.join(files)}]")
    options = patching.Patch(note=note)

    def run(resources: ResourceSet) -> None:
        patching.apply_strategic(resources, merges, options)

    return run


def strategic_merges(entries: list[str], read: ReadFile, root: str, leniency: reading.Leniency) -> list[Resource]:
    """The patches of patchesStrategicMerge entries, each a path or the patch itself."""
    merges: list[Resource] = []
    for entry in entries:
        if is_inline(entry):
            merges += objects.load(entry.encode(), "an inline patch", leniency)
        else:
            merges += objects.load(read(entry), paths_join(root, entry), leniency)
    return merges


def is_inline(entry: str) -> bool:
    """Whether an entry that may be a path or YAML is YAML: paths have no line breaks and no 'key: '."""
    return "\n" in entry or re.match(r"\s*(?:[\w\"'.$/-]+:(?:\s|$)|\{|\[|---|#)", entry) is not None


def paths_join(root: str, path: str) -> str:
    import posixpath

    return posixpath.normpath(posixpath.join(root, path))


def _patch(config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str) -> Transform:
    patch = patch_of(config, read, root, leniency, note)

    def run(resources: ResourceSet) -> None:
        patching.apply(resources, patch)

    return run


def patch_of(
    entry: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str, place: Place | None = None
) -> patching.Patch:
    """An entry of `patches`. Raises PluginError, PatchTextError and what reading raises."""
    text, path = (entry.get("patch") or "").strip(), entry.get("path") or ""
    if not text and not path:
        raise PluginError("must specify one of patch and path in the entry")
    if text and path:
        raise PluginError("patch and path can't be set at the same time")
    source = f'[path: "{path}"]' if path else "[patch: inline]"
    data = read(path) if path else text.encode()
    shown = paths_join(root, path) if path else (place.path if place is not None else "an inline patch")
    merges, operations = patching.parse_text(data, shown, source, leniency)
    target = entry.get("target")
    options = entry.get("options") or {}
    return patching.Patch(
        merges=tuple(merges),
        operations=tuple(operations or ()),
        target=replacing.parse_selector(target) if target is not None else None,
        allow_name_change=bool(options.get("allowNameChange")),
        allow_kind_change=bool(options.get("allowKindChange")),
        source=source,
        place=place,
        note=note,
    )


def _affix(config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str) -> Transform:
    if "fieldSpecs" not in config:
        raise PluginError("fieldSpecs is not expected to be nil")
    prefix, suffix = config.get("prefix") or "", config.get("suffix") or ""
    specs = specs_of(config)

    def run(resources: ResourceSet) -> None:
        if prefix:
            transforming.add_affix(resources, prefix, "", specs, note)
        if suffix:
            transforming.add_affix(resources, "", suffix, specs, note)

    return run


def replacements_of(entries: list[dict[str, Any]], read: ReadFile, root: str, note: str) -> list[replacing.Replacement]:
    """Entries of `replacements`, files opened. Raises PluginError and what reading raises."""
    result: list[replacing.Replacement] = []
    for entry in entries:
        path = entry.get("path") or ""
        if path and (entry.get("source") is not None or entry.get("targets")):
            raise PluginError("cannot specify both path and inline replacement")
        if not path:
            result.append(replacing.parse(entry, note))
            continue
        document = reading.load_sigs(read(path), paths_join(root, path))
        value = document.value if document is not None else None
        if isinstance(value, dict):
            value = [value]
        if not isinstance(value, list):
            raise PluginError("unsupported replacement type encountered within replacement path: neither a list nor a map")
        assert document is not None
        problems: list[Any] = []
        items = kustomization.checked(value, [kustomization.REPLACEMENT], document, (), problems, "coerce")
        result.extend(replacing.parse(item or {}, note) for item in items)
        if problems:
            raise PluginError(problems[0].what)
    return result


def _replacements(config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str) -> Transform:
    parsed = replacements_of([entry or {} for entry in config.get("replacements") or []], read, root, note)
    return lambda resources: replacing.apply(resources, parsed)


def _replicas(config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str) -> Transform:
    replica = config.get("replica") or {}
    specs = specs_of(config)
    return lambda resources: transforming.set_replicas(
        resources, replica.get("name") or "", replica.get("count") or 0, specs, note
    )


def sort_order(config: Mapping[str, Any] | None) -> Transform:
    """sortOptions. Raises PluginError."""
    order = (config or {}).get("order") or ("" if config is not None else "fifo")
    legacy = (config or {}).get("legacySortOptions")
    if order not in ("fifo", "legacy"):
        raise PluginError("the field 'sortOptions.order' must be one of [fifo, legacy]")
    if order == "fifo":
        if legacy is not None:
            raise PluginError(
                "the field 'sortOptions.legacySortOptions' is set but the selected sort order is 'fifo', not 'legacy'"
            )
        return lambda resources: None

    def run(resources: ResourceSet) -> None:
        if legacy is None:
            resources.replace_all(ordering.legacy(resources.resources, resources.ids))
        else:
            first, last = legacy.get("orderFirst") or (), legacy.get("orderLast") or ()
            resources.replace_all(ordering.legacy(resources.resources, resources.ids, first, last))

    return run


def _value_add(config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str) -> Transform:
    value = (config.get("value") or "").strip() or root.rpartition("/")[2]
    targets = list(config.get("targets") or [])
    if config.get("targetFilePath"):
        document = reading.load_sigs(read(config["targetFilePath"]), paths_join(root, config["targetFilePath"]))
        if document is not None:
            shape = {"targets": SHAPES["ValueAddTransformer"]["targets"]}
            found = kustomization.checked(document.value, shape, document, (), [], "coerce") or {}
            targets += found.get("targets") or []
    if not targets:
        raise PluginError("must specify at least one target")
    for target in targets:
        if not target.get("fieldPath"):
            raise PluginError("fieldPath cannot be empty")
        if (target.get("filePathPosition") or 0) < 0:
            raise PluginError("value of FilePathPosition cannot be negative")

    def run(resources: ResourceSet) -> None:
        for target in targets:
            _add_value(resources, target, value, note)
        resources.changed()

    return run


def _add_value(resources: ResourceSet, target: Mapping[str, Any], value: str, note: str) -> None:
    selector = target.get("selector")
    chosen = resources.resources if selector is None else selecting.select(replacing.parse_selector(selector), resources)
    path = target["fieldPath"]
    position = target.get("filePathPosition") or 0
    for resource in chosen:
        if path == "metadata/namespace":
            if not resources.ids.schema.is_cluster_scoped(resource.api_version, resource.kind):
                resource.metadata()["namespace"] = value
            continue
        steps = fieldspecs.split_path(path.lstrip("/"))
        try:
            spots = paths.find(paths.Spot({"": resource.value}, ""), steps, "scalar")
        except paths.PathError as error:
            raise TransformError(f"{error} ({resources.ids.current(resource)})", resource) from None
        for spot in spots:
            old = "" if spot.value is None else scalars.text_of(spot.value)
            spot.value = insert_path_part(old, position - 1, value) if position > 0 else value
        resource.touched(note)


def insert_path_part(path: str, position: int, part: str) -> str:
    """A part put into a file path at a position, or at its end."""
    absolute = path.startswith("/")
    parts = [piece for piece in path.split("/") if piece]
    parts.insert(min(position, len(parts)), part)
    return ("/" if absolute else "") + "/".join(parts)


def _hash(config: Mapping[str, Any], read: ReadFile, root: str, leniency: reading.Leniency, note: str) -> Transform:
    from penstock.render import naming

    return naming.add_hashes


_MAKERS: Final[Mapping[str, Maker]] = {
    "AnnotationsTransformer": _labels,
    "LabelTransformer": _labels,
    "ImageTagTransformer": _images,
    "NamespaceTransformer": _namespace,
    "PatchJson6902Transformer": _json6902,
    "PatchStrategicMergeTransformer": _strategic,
    "PatchTransformer": _patch,
    "PrefixTransformer": _affix,
    "SuffixTransformer": _affix,
    "PrefixSuffixTransformer": _affix,
    "ReplacementTransformer": _replacements,
    "ReplicaCountTransformer": _replicas,
    "ValueAddTransformer": _value_add,
    "HashTransformer": _hash,
}
