"""The built-in fields of a kustomization as steps, in the order kustomize runs them.

Everything a step needs is read and checked here, so that mistakes in files show together and before anything changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.model.errors import InputError
from penstock.render import fieldspecs, origins, patching, plugins, replacing, transforming
from penstock.render.accumulating import STEP_ERRORS, Step
from penstock.render.fieldspecs import FieldSpec, TransformerConfig
from penstock.render.loading import LoadError
from penstock.render.resources import ResourceSet

if TYPE_CHECKING:
    from penstock.render.accumulating import Build, Layer

_KEEP_INDEX = frozenset(("patchesStrategicMerge", "patches", "replacements"))
_METADATA_LABELS = FieldSpec(path="metadata/labels", create=True)


def builtin(build: Build, layer: Layer, config: TransformerConfig) -> list[Step]:
    """All steps of a kustomization's own fields; mistakes are reported and leave the layer failed."""
    result: list[Step] = []
    for make in (
        _strategic_patches,
        _patches,
        _namespace,
        _affixes,
        _labels,
        _annotations,
        _json_patches,
        _replicas,
        _images,
        _replacements,
    ):
        result += make(build, layer, config)
    return result


class _Maker:
    """Makes steps for one field, with its place, note and origin."""

    def __init__(self, build: Build, layer: Layer, kind: str) -> None:
        self.build = build
        self.layer = layer
        self.origin = None
        if layer.origin is not None:
            self.origin = origins.builtin(layer.origin.path, layer.file_name, kind)

    def note(self, *steps: str | int) -> str:
        return f"{steps[0]} {self.layer.kustomization.place(*steps)}"

    def step(self, run: Callable[[ResourceSet], None], *steps: str | int) -> Step:
        name = str(steps[0])
        if len(steps) > 1 and isinstance(steps[1], int):
            entry = (self.layer.kustomization.fields.get(name) or [])[steps[1]]
            path = entry.get("path") if isinstance(entry, dict) else None
            name = f"{name} {path}" if path else name
        return Step(
            run=run,
            place=self.layer.kustomization.place(*steps),
            name=name,
            origin=self.origin,
            keeps_index=steps[0] in _KEEP_INDEX,
        )

    def attempt(self, make: Callable[[], Any], *steps: str | int) -> Any:
        """What `make` gives, or None after reporting why it gives nothing."""
        try:
            return make()
        except (*STEP_ERRORS, LoadError, InputError) as error:
            self.build.fail(self.layer, error, *steps)
            return None


def _strategic_patches(build: Build, layer: Layer, config: TransformerConfig) -> Iterator[Step]:
    entries = layer.kustomization.texts("patchesStrategicMerge")
    if not entries:
        return
    name = "patchesStrategicMerge"
    maker = _Maker(build, layer, "PatchStrategicMergeTransformer")
    merges: list[Any] = []
    for index, entry in enumerate(entries):
        read = build.reader(layer)
        make = partial(plugins.strategic_merges, [entry], read, layer.root, build.options.leniency)
        found = maker.attempt(make, name, index)
        merges += found or []
    if layer.failed:
        return
    if not merges:
        error = plugins.PluginError(f"patch appears to be empty; files=[{' '.join(entries)}]", "EmptyPatch")
        build.fail(layer, error, name)
        return
    options = patching.Patch(note=maker.note(name))

    def run(resources: ResourceSet) -> None:
        patching.apply_strategic(resources, merges, options)

    yield maker.step(run, name)


def _patches(build: Build, layer: Layer, config: TransformerConfig) -> Iterator[Step]:
    maker = _Maker(build, layer, "PatchTransformer")
    for index, entry in enumerate(layer.kustomization.maps("patches")):
        place = layer.kustomization.place("patches", index)
        patch = maker.attempt(
            partial(
                plugins.patch_of,
                entry,
                build.reader(layer),
                layer.root,
                build.options.leniency,
                maker.note("patches", index),
                place,
            ),
            "patches",
            index,
        )
        if patch is not None:
            yield maker.step(_patch_runner(build, layer, patch), "patches", index)


def _patch_runner(build: Build, layer: Layer, patch: patching.Patch) -> Callable[[ResourceSet], None]:
    def run(resources: ResourceSet) -> None:
        changed = patching.apply(resources, patch)
        if not changed and (patch.merges or patch.operations):
            build.warn("the patch's target selects nothing", patch.place, layer.chain, "PatchNoTarget")

    return run


def _namespace(build: Build, layer: Layer, config: TransformerConfig) -> Iterator[Step]:
    namespace = layer.kustomization.text("namespace")
    if namespace:
        maker = _Maker(build, layer, "NamespaceTransformer")
        note = maker.note("namespace")
        yield maker.step(lambda resources: transforming.set_namespace(resources, namespace, config.namespace, note), "namespace")


def _affixes(build: Build, layer: Layer, config: TransformerConfig) -> Iterator[Step]:
    prefix, suffix = layer.kustomization.text("namePrefix"), layer.kustomization.text("nameSuffix")
    if prefix:
        maker = _Maker(build, layer, "PrefixTransformer")
        note = maker.note("namePrefix")
        yield maker.step(lambda resources: transforming.add_affix(resources, prefix, "", config.name_prefix, note), "namePrefix")
    if suffix:
        maker = _Maker(build, layer, "SuffixTransformer")
        note_suffix = maker.note("nameSuffix")
        yield maker.step(
            lambda resources: transforming.add_affix(resources, "", suffix, config.name_suffix, note_suffix), "nameSuffix"
        )


def _labels(build: Build, layer: Layer, config: TransformerConfig) -> Iterator[Step]:
    entries = layer.kustomization.maps("labels")
    common: dict[str, str] = layer.kustomization.fields.get("commonLabels") or {}
    if not entries and not common:
        return
    maker = _Maker(build, layer, "LabelTransformer")
    for index, entry in enumerate(entries):
        specs = maker.attempt(partial(label_specs, entry, config), "labels", index)
        if specs is not None:
            yield maker.step(_texts_runner(entry.get("pairs") or {}, specs, maker.note("labels", index)), "labels", index)
    yield maker.step(_texts_runner(common, config.common_labels, maker.note("commonLabels")), "commonLabels")


def label_specs(entry: dict[str, Any], config: TransformerConfig) -> tuple[FieldSpec, ...]:
    """Where the pairs of one `labels` entry go. Raises FieldError."""
    from penstock.render import configuring

    specs = tuple(configuring.field_spec(spec or {}) for spec in entry.get("fields") or ())
    specs = fieldspecs.merge_all(specs, config.labels)
    if entry.get("includeSelectors"):
        return fieldspecs.merge_all(specs, config.common_labels)
    if entry.get("includeTemplates"):
        specs = fieldspecs.merge_all(specs, config.template_labels)
    if entry.get("includeVolumeClaimTemplates"):
        specs = fieldspecs.merge_all(specs, config.volume_claim_template_labels)
    return fieldspecs.merge_one(specs, _METADATA_LABELS)


def _texts_runner(texts: dict[str, str], specs: tuple[FieldSpec, ...], note: str) -> Callable[[ResourceSet], None]:
    return lambda resources: transforming.set_texts(resources, texts, specs, note)


def _annotations(build: Build, layer: Layer, config: TransformerConfig) -> Iterator[Step]:
    texts = layer.kustomization.fields.get("commonAnnotations") or {}
    if texts:
        maker = _Maker(build, layer, "AnnotationsTransformer")
        run = _texts_runner(texts, config.common_annotations, maker.note("commonAnnotations"))
        yield maker.step(run, "commonAnnotations")


def _json_patches(build: Build, layer: Layer, config: TransformerConfig) -> Iterator[Step]:
    maker = _Maker(build, layer, "PatchJson6902Transformer")
    name = "patchesJson6902"
    for index, entry in enumerate(layer.kustomization.maps(name)):
        target = replacing.parse_selector(entry.get("target") or {})
        patch = maker.attempt(
            partial(
                plugins.json6902_patch,
                target,
                entry.get("path") or "",
                entry.get("patch") or "",
                build.reader(layer),
                build.options.leniency,
                maker.note(name, index),
            ),
            name,
            index,
        )
        if patch is not None:
            yield maker.step(partial(plugins.run_json6902, patch=patch), name, index)


def _replicas(build: Build, layer: Layer, config: TransformerConfig) -> Iterator[Step]:
    maker = _Maker(build, layer, "ReplicaCountTransformer")
    for index, entry in enumerate(layer.kustomization.maps("replicas")):
        name, count = entry.get("name") or "", entry.get("count") or 0
        note = maker.note("replicas", index)
        yield maker.step(
            partial(transforming.set_replicas, name=name, count=count, specs=config.replicas, note=note),
            "replicas",
            index,
        )


def _images(build: Build, layer: Layer, config: TransformerConfig) -> Iterator[Step]:
    entries = layer.kustomization.maps("images")
    if not entries:
        return
    maker = _Maker(build, layer, "ImageTagTransformer")
    images = [plugins.image_of(entry, maker.note("images", index)) for index, entry in enumerate(entries)]
    for index, image in enumerate(images):
        maker.attempt(partial(transforming.image_matcher, image.name), "images", index)
    # one pass for all of them, unless every transformer has to leave its mark
    groups = [images] if maker.origin is None else [[image] for image in images]
    for group in groups:
        yield maker.step(partial(transforming.set_images, images=group, specs=config.images), "images")


def _replacements(build: Build, layer: Layer, config: TransformerConfig) -> Iterator[Step]:
    entries = layer.kustomization.maps("replacements")
    if not entries:
        return
    maker = _Maker(build, layer, "ReplacementTransformer")
    parsed: list[replacing.Replacement] = []
    for index, entry in enumerate(entries):
        found = maker.attempt(
            partial(
                plugins.replacements_of,
                [entry],
                build.reader(layer),
                layer.root,
                maker.note("replacements", index),
            ),
            "replacements",
            index,
        )
        parsed += found or []
    yield maker.step(lambda resources: replacing.apply(resources, parsed), "replacements")
