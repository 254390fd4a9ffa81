"""One build: kustomizations walked from the outside in, resources gathered and transformed from the inside out.

In: a tree, a directory and options. Out: the resources in order, with every problem of every file in one error. A
kustomization whose files could not be read is not transformed, so that one mistake is one message; its neighbours still
are, so that all mistakes show at once.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from penstock.model.errors import InputError, Place, Problem
from penstock.render import (
    configuring,
    fieldspecs,
    generating,
    kustomization,
    naming,
    objects,
    origins,
    patching,
    patterns,
    plugins,
    selecting,
    transforming,
    variables,
)
from penstock.render.budget import Budget, OverBudgetError
from penstock.render.caching import Cache
from penstock.render.fieldspecs import FieldError, TransformerConfig
from penstock.render.kustomization import Kustomization
from penstock.render.loading import Loader, LoadError, below
from penstock.render.options import Options
from penstock.render.origins import OriginNote
from penstock.render.resources import Ids, Resource, ResourceSet, SetError
from penstock.render.schema import BUILT_IN_VERSION, Schema
from penstock.render.transforming import TransformError
from penstock.render.variables import Variable
from penstock.yamldoc import composing, reading, scalars

if TYPE_CHECKING:
    from penstock.render.tracing import Recorder

MAX_DEPTH: Final = 100
"""Kustomizations inside each other."""

Chain = tuple[Place, ...]


@dataclass(slots=True)
class Accumulator:
    """What a kustomization hands to the one above it."""

    resources: ResourceSet
    config: TransformerConfig = fieldspecs.EMPTY_CONFIG
    variables: dict[str, Variable] = field(default_factory=dict)


@dataclass(slots=True)
class Layer:
    """A kustomization being worked on."""

    kustomization: Kustomization
    root: str
    """Its real directory."""
    file_name: str
    chain: Chain
    above: tuple[str, ...]
    """The directories on the way here, this one last."""
    origin: OriginNote | None
    build_metadata: tuple[str, ...]
    failed: bool = False


class TooManyProblemsError(Exception):
    """Enough has gone wrong to stop looking."""


class Build:
    """The state of one build."""

    def __init__(self, loader: Loader, options: Options, cache: Cache | None) -> None:
        self.loader = loader
        self.options = options
        self.cache = cache
        self.schema = Schema()
        self.budget = Budget(options.clock, options.max_cpu_seconds)
        self.ids = Ids(self.schema, self.budget)
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.recorder: Recorder | None = None
        """Watches every step, when somebody wants to know what changed what."""
        self._objects = 0

    # -- problems ------------------------------------------------------------------------------------------------------

    def report(self, error: Exception, place: Place | None, chain: Chain) -> None:
        """Turn what went wrong into problems with a place. A budget that is used up ends the build instead."""
        if isinstance(error, OverBudgetError):
            raise error
        if isinstance(error, InputError):
            self.problems += [
                Problem(
                    what=problem.what,
                    where=problem.where or place,
                    hint=problem.hint,
                    chain=problem.chain or (_chain_to(chain, place) if problem.where != place else chain),
                    code=problem.code,
                    severity=problem.severity,
                )
                for problem in error.problems
            ]
            return
        what = str(getattr(error, "what", None) or error)
        hint = getattr(error, "hint", None)
        code = getattr(error, "code", None) or _CODES.get(type(error).__name__, "Invalid")
        if isinstance(error, SetError):
            hint = _both_places(error.resources) or hint
        self.problems.append(Problem(what=what, where=place, hint=hint, chain=chain, code=code))

    def warn(self, what: str, place: Place | None, chain: Chain, code: str, hint: str | None = None) -> None:
        self.warnings.append(Problem(what=what, where=place, chain=chain, code=code, hint=hint, severity="warning"))

    # -- kustomizations ------------------------------------------------------------------------------------------------

    def load(
        self, root: str, chain: Chain, above: tuple[str, ...], origin: OriginNote | None, build_metadata: tuple[str, ...] | None
    ) -> Layer:
        """The kustomization of a directory. Raises InputError and LoadError."""
        found: list[tuple[str, bytes]] = []
        for name in kustomization.FILE_NAMES:
            path = posixpath.join(root, name)
            real, entry = self.loader.resolve(path)
            if entry is not None and entry.kind == "file":
                if not below(real, root):
                    raise LoadError(f"security; file '/{real}' is not in or below '/{root}'", "LoadRestricted")
                found.append((path, self.loader.content(real, entry)))
        if not found:
            raise LoadError(
                f"unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '/{root}'",
                "NoKustomization",
            )
        if len(found) > 1:
            raise LoadError(
                f"Found multiple kustomization files under: /{root}",
                "ManyKustomizations",
                "keep one: the others would be ignored",
            )
        path, data = found[0]
        parsed = kustomization.parse(data, path, self.options.leniency)
        return self.layer(parsed, root, chain, above, origin, build_metadata)

    def layer(
        self,
        parsed: Kustomization,
        root: str,
        chain: Chain,
        above: tuple[str, ...],
        origin: OriginNote | None,
        build_metadata: tuple[str, ...] | None,
    ) -> Layer:
        """A layer of a kustomization that is parsed already."""
        self.warnings += [
            Problem(what=warning.what, where=warning.where, hint=warning.hint, chain=chain, code=warning.code, severity="warning")
            for warning in parsed.warnings
        ]
        metadata = tuple(parsed.texts("buildMetadata")) if build_metadata is None else build_metadata
        return Layer(
            kustomization=parsed,
            root=root,
            file_name=posixpath.basename(parsed.path),
            chain=chain,
            above=(*above, root),
            origin=(origin or OriginNote()) if metadata else None,
            build_metadata=metadata,
        )

    def set_schema(self, layer: Layer, *, reset: bool) -> None:
        """`openapi`: a document or a version; the first kustomization that names one decides for the build."""
        wanted = layer.kustomization.fields.get("openapi") or {}
        document = None
        try:
            if "path" in wanted:
                real, data = self.loader.file(layer.root, wanted["path"])
                document = configuring.open_api(data, real)
            if self.schema.is_set and not reset:
                return
            if document is not None and "version" in wanted:
                raise plugins.PluginError("builtin version and custom schema provided, cannot use both", "OpenApi")
            if document is not None:
                self.schema.use_document(document)
            elif wanted.get("version"):
                if wanted["version"] != BUILT_IN_VERSION:
                    raise plugins.PluginError(
                        "the specified OpenAPI version is not built in", "OpenApi", f"only {BUILT_IN_VERSION} is"
                    )
                self.schema.use_version(wanted["version"])
        except (LoadError, InputError, plugins.PluginError) as error:
            self.fail(layer, error, "openapi")

    def fail(self, layer: Layer, error: Exception, *steps: str | int) -> None:
        """Report at a field of the layer's kustomization."""
        layer.failed = True
        self.report(error, layer.kustomization.place(*steps), layer.chain)

    def accumulate(self, layer: Layer, into: Accumulator) -> bool:
        """Work on one kustomization; False when something in it or below it failed."""
        self._resources(layer, into, "resources", layer.kustomization.texts("resources"))
        self._configurations(layer, into)
        self._generators(layer, into)
        self._components(layer, into)
        steps = self._transformers(layer, into)
        validators = self._external(layer, "validators")
        parsed = [variables.parse(entry) for entry in layer.kustomization.maps("vars")]
        if layer.failed:
            return False
        for step in self.budget.watched(steps):
            if not self._run(layer, into, step):
                return False
        for step in validators:
            if not self._validate(layer, into, step):
                return False
        try:
            variables.mark(into.resources, parsed)
            into.variables = variables.merged(into.variables, parsed)
        except TransformError as error:
            self.fail(layer, error, "vars")
        return not layer.failed

    # -- resources -----------------------------------------------------------------------------------------------------

    def _resources(self, layer: Layer, into: Accumulator, field_name: str, paths: list[str]) -> None:
        for index, path in enumerate(paths):
            try:
                real, entry = self.loader.find(layer.root, path)
                if entry is None:
                    raise LoadError(
                        f"'{path}' doesn't exist: no such file or directory", "NotFound", self.loader.similar(layer.root, path)
                    )
                if entry.kind == "directory":
                    self._base(layer, into, real, path, (field_name, index), component=False)
                else:
                    self._file(layer, into, real, path)
            except (LoadError, InputError, SetError) as error:
                self.fail(layer, error, field_name, index)

    def _count(self, objects: int) -> None:
        before, self._objects = self._objects, self._objects + objects
        # told once, where the budget is passed: all that follows is over it too
        if before <= self.options.max_objects < self._objects:
            raise LoadError(f"the build has more than {self.options.max_objects} objects", "RenderBudget")

    def _file(self, layer: Layer, into: Accumulator, real: str, path: str) -> None:
        self.budget.check()
        entry = self.loader.tree.entry(real)
        assert entry is not None
        if self.cache is not None and entry.id:
            # what is parsed depends on the keys too
            blob = f"{entry.id} {self.loader.decrypt.id}" if self.loader.decrypt is not None else entry.id
            documents = self.cache.documents(
                blob, real, self.options.leniency, lambda: self.loader.opened(real, self.loader.content(real, entry))
            )
            resources = objects.from_documents(documents, own=False)
        else:
            documents = reading.load_all(self.loader.opened(real, self.loader.content(real, entry)), real, self.options.leniency)
            resources = objects.from_documents(documents)
        for document in documents:
            for warning in document.warnings:
                self.warn(warning.what, warning.where, layer.chain, warning.code, warning.hint)
        self._count(len(resources))
        if layer.origin is not None:
            note = layer.origin.append(path)
            for resource in resources:
                origins.set_origin(resource, note)
        into.resources.extend(resources)

    def _base(self, layer: Layer, into: Accumulator, real: str, path: str, steps: tuple[str, int], *, component: bool) -> None:
        for visited in layer.above:
            if below(visited, real):
                shown = " > ".join("/" + step for step in (*layer.above, real))
                raise LoadError(
                    f"cycle detected: candidate root '/{real}' contains visited root '/{visited}' ({shown})", "KustomizationCycle"
                )
        if len(layer.above) > MAX_DEPTH:
            raise LoadError(f"kustomizations are nested deeper than {MAX_DEPTH}", "RenderBudget")
        chain = (*layer.chain, layer.kustomization.place(*steps))
        origin = layer.origin.append(path) if layer.origin is not None else None
        try:
            below_layer = self.load(real, chain, layer.above, origin, layer.build_metadata)
        except InputError as error:
            layer.failed = True
            self.report(error, None, chain)
            return
        self.set_schema(below_layer, reset=False)
        if below_layer.kustomization.component != component:
            wanted = "expected kind 'Component' for path" if component else "expected kind != 'Component' for path"
            hint = "list it under 'resources'" if component else "list it under 'components'"
            raise LoadError(f"{wanted} '/{real}'", "ComponentKind", hint)
        if component:
            if not self.accumulate(below_layer, into):
                layer.failed = True
            else:
                self._check_renamed(into.resources)
            return
        inner = Accumulator(ResourceSet(self.ids))
        if not self.accumulate(below_layer, inner):
            layer.failed = True
            return
        self._merge(into, inner)

    def _merge(self, into: Accumulator, inner: Accumulator) -> None:
        self._check_renamed(inner.resources)
        if len(into.resources) == 0:
            into.resources = inner.resources
        else:
            into.resources.extend(inner.resources)
        into.config = fieldspecs.merge_configs(into.config, inner.config)
        try:
            into.variables = variables.merged(into.variables, list(inner.variables.values()))
        except TransformError as error:
            raise LoadError(error.what, "Variable") from None

    def _check_renamed(self, resources: ResourceSet) -> None:
        """Raises SetError when a patch or a replacement gave an object the identity of another one."""
        if resources.renamed:
            for first, second in resources.duplicates():
                raise SetError(f"may not add resource with an already registered id: {self.ids.current(second)}", (first, second))

    def _components(self, layer: Layer, into: Accumulator) -> None:
        for index, path in enumerate(layer.kustomization.texts("components")):
            try:
                real, entry = self.loader.find(layer.root, path)
                if entry is None:
                    raise LoadError(
                        f"'{path}' doesn't exist: no such file or directory", "NotFound", self.loader.similar(layer.root, path)
                    )
                if entry.kind != "directory":
                    raise LoadError(f"must build at directory: '{path}': file is not directory", "NotADirectory")
                self._base(layer, into, real, path, ("components", index), component=True)
            except (LoadError, InputError, SetError) as error:
                self.fail(layer, error, "components", index)

    # -- configurations ------------------------------------------------------------------------------------------------

    def _configurations(self, layer: Layer, into: Accumulator) -> None:
        config = fieldspecs.default_config()
        for name, parse in (("configurations", configuring.configuration), ("crds", configuring.from_crds)):
            for index, path in enumerate(layer.kustomization.texts(name)):
                try:
                    real, data = self.loader.file(layer.root, path)
                    config = fieldspecs.merge_configs(config, parse(data, real))
                except (LoadError, InputError, FieldError) as error:
                    self.fail(layer, error, name, index)
        try:
            into.config = fieldspecs.merge_configs(into.config, config)
        except FieldError as error:
            self.fail(layer, error, "configurations")

    # -- generators ----------------------------------------------------------------------------------------------------

    def reader(self, layer: Layer, *, sealed: bool = False) -> Callable[[str], bytes]:
        """Reads a file that the layer's kustomization names. sealed: as it stands in the tree."""

        def read(path: str) -> bytes:
            real, data = self.loader.file(layer.root, path)
            return data if sealed else self.loader.opened(real, data)

        return read

    def secret_reader(self, layer: Layer, entry: dict[str, Any]) -> Callable[[str], bytes]:
        """Reads the sources of a secretGenerator entry; what they are is told by the key, for env files by the path."""
        names = {path: f"{path}.env" for path in (*(entry.get("envs") or ()), entry.get("env")) if path}
        for source in entry.get("files") or ():
            try:
                key, path = generating.file_source(source)
            except generating.GenerateError:
                continue
            names[path] = key

        def read(path: str) -> bytes:
            real, data = self.loader.file(layer.root, path)
            return data if self.loader.decrypt is None else self.loader.decrypt.content(real, data, names.get(path, path))

        return read

    def _generators(self, layer: Layer, into: Accumulator) -> None:
        self._refuse_helm(layer)
        common = layer.kustomization.fields.get("generatorOptions")
        for name, kind, make in (
            ("configMapGenerator", "ConfigMapGenerator", generating.config_map),
            ("secretGenerator", "SecretGenerator", generating.secret),
        ):
            entries = layer.kustomization.maps(name)
            try:
                self._count(len(entries))
            except LoadError as error:
                self.fail(layer, error, name)
                return
            for index, entry in enumerate(self.budget.watched(entries)):
                entry = {**entry, "options": generating.merged_options(entry.get("options"), common)}
                place = layer.kustomization.place(name, index)
                try:
                    # a ConfigMap is nobody's place for what was encrypted
                    secret = name == "secretGenerator"
                    read = self.secret_reader(layer, entry) if secret else self.reader(layer, sealed=True)
                    value = make(entry, read, checked=not self.options.leniency.unchecked_data)
                    wants_hash = not (entry["options"] or {}).get("disableNameSuffixHash")
                    resource = Resource(value, place=place, needs_hash=wants_hash, behavior=entry.get("behavior") or "")
                    if layer.origin is not None:
                        origins.set_origin(resource, origins.builtin(layer.origin.path, layer.file_name, kind))
                    absorb(into.resources, [resource])
                except generating.GenerateError as error:
                    steps = [step for step in (error.field, error.index) if step not in ("", None)]
                    layer.failed = True
                    self.report(error, layer.kustomization.place(name, index, *steps), layer.chain)
                except (LoadError, InputError, SetError) as error:
                    self.fail(layer, error, name, index)
        for configured, place in self._configured(layer, "generators"):
            try:
                config = plugins.config_of(configured, layer.kustomization.path)
                if configured.kind not in plugins.GENERATORS:
                    raise plugins.PluginError(f"plugin {self.ids.original(configured)} not a generator")
                checked = not self.options.leniency.unchecked_data
                secret = configured.kind == "SecretGenerator"
                read = self.secret_reader(layer, config) if secret else self.reader(layer, sealed=True)
                made = plugins.generate(configured, config, read, checked=checked)
                for resource in made:
                    resource.place = place
                origins.add_origins(made, origins.read_origin(configured) if layer.origin is not None else None)
                absorb(into.resources, made)
            except (plugins.PluginError, generating.GenerateError, LoadError, InputError, SetError) as error:
                layer.failed = True
                self.report(error, place, layer.chain)

    def _refuse_helm(self, layer: Layer) -> None:
        for name in ("helmCharts", "helmChartInflationGenerator"):
            if layer.kustomization.fields.get(name):
                error = plugins.PluginError(
                    "Helm charts are not inflated: that would start helm", "HelmChart", "use a Flux HelmRelease"
                )
                self.fail(layer, error, name)

    def _configured(self, layer: Layer, name: str) -> list[tuple[Resource, Place]]:
        """The plugin configurations of a field, inline ones first, checked to be built in."""
        entries = layer.kustomization.texts(name)
        if not entries:
            return []
        gathered = Accumulator(ResourceSet(self.ids))
        files: list[str] = []
        before = len(self.problems)
        failed = layer.failed
        for index, entry in enumerate(entries):
            if not plugins.is_inline(entry):
                files.append(entry)
                continue
            try:
                resources = objects.load(entry.encode(), layer.kustomization.path, self.options.leniency)
                for resource in resources:
                    resource.place = layer.kustomization.place(name, index)
                    if layer.origin is not None:
                        origins.set_origin(resource, layer.origin.append(layer.file_name))
                gathered.resources.extend(resources)
            except (InputError, SetError) as error:
                self.fail(layer, error, name, index)
        if files:
            self._resources(layer, gathered, name, files)
        if len(self.problems) > before:
            return []
        layer.failed = failed
        result = []
        for resource in gathered.resources:
            place = resource.found_at() or layer.kustomization.place(name)
            try:
                plugins.check_builtin(resource)
                result.append((resource, place))
            except plugins.PluginError as error:
                layer.failed = True
                self.report(error, place, layer.chain)
        return result

    # -- transformers --------------------------------------------------------------------------------------------------

    def _transformers(self, layer: Layer, into: Accumulator) -> list[Step]:
        """All steps of a kustomization in kustomize's order, their files read and their mistakes reported."""
        from penstock.render import steps

        return [*steps.builtin(self, layer, into.config), *self._external(layer, "transformers")]

    def _external(self, layer: Layer, name: str) -> list[Step]:
        result = []
        for configured, place in self._configured(layer, name):
            note = f"{configured.kind} {place}"
            try:
                config = plugins.config_of(configured, layer.kustomization.path)
                run = plugins.transformer(configured, config, self.reader(layer), layer.root, self.options.leniency, note)
            except (*STEP_ERRORS, LoadError, InputError) as error:
                layer.failed = True
                self.report(error, place, layer.chain)
                continue
            origin = origins.read_origin(configured) if layer.origin is not None else None
            result.append(Step(run=run, place=place, name=configured.kind, origin=origin))
        return result

    def _run(self, layer: Layer, into: Accumulator, step: Step) -> bool:
        try:
            with self.recorded(into.resources, step.name, step.place):
                step.run(into.resources)
        except STEP_ERRORS as error:
            layer.failed = True
            self.report(error, step.place, layer.chain)
            return False
        if step.origin is not None:
            origins.add_transformation(into.resources, step.origin)
        if not step.keeps_index:
            into.resources.changed()
        return True

    @contextmanager
    def recorded(self, resources: Iterable[Resource], what: str, place: Place | None) -> Iterator[None]:
        """Let the recorder compare what is before and after."""
        if self.recorder is not None:
            self.recorder.before(resources)
        yield
        if self.recorder is not None:
            self.recorder.after(resources, what, place)

    def _validate(self, layer: Layer, into: Accumulator, step: Step) -> bool:
        before = [composing.copied(resource.value) for resource in into.resources]
        if not self._run(layer, into, step):
            return False
        after = [_without_validation(resource.value) for resource in into.resources]
        if before != after:
            error = TransformError("validator shouldn't modify the resource map")
            layer.failed = True
            self.report(error, step.place, layer.chain)
            return False
        return True

    # -- the end of a build --------------------------------------------------------------------------------------------

    def finish(self, layer: Layer, into: Accumulator) -> None:
        """What kustomize does once, at the outermost kustomization: hashes, references, variables, local objects."""
        place = layer.kustomization.place()
        try:
            with self.recorded(into.resources, "hash of the content", None):
                naming.add_hashes(into.resources)
            with self.recorded(into.resources, "references to renamed objects", None):
                naming.fix_references(into.resources, into.config.name_reference)
            with self.recorded(into.resources, "vars", place):
                unused = variables.resolve(into.resources, into.variables, into.config.var_reference)
        except STEP_ERRORS as error:
            resource = getattr(error, "resource", None)
            where = (resource.found_at() if resource is not None else None) or place
            self.report(error, where, layer.chain)
            return
        for name in unused:
            self.warn(f"variable '{name}' is never used", layer.kustomization.place("vars"), layer.chain, "UnusedVariable")
        for resource in into.resources:
            # kustomize notes no empty name, and stumbles when it has noted fewer names than namespaces
            noted = [earlier for earlier in resource.previous if earlier.name]
            nameless = not resource.name or (noted and len(noted) < len(resource.previous))
            if nameless and not resource.kind.endswith("List"):
                where = resource.found_at() or place
                taken_away = SetError(f"missing metadata.name in object: a patch or a replacement took it from {resource.kind}")
                self.report(taken_away, where, layer.chain)
        # a JSON patch or a replacement can give an object the name of another one; local objects count here too
        for first, second in into.resources.duplicates():
            shown = self.ids.current(second)
            where = second.found_at() or place
            taken = SetError(f"may not add resource with an already registered id: {shown}", (first, second))
            self.report(taken, where, layer.chain)
        into.resources.replace_all([resource for resource in into.resources if not _is_local(resource)])


@dataclass(slots=True)
class Step:
    """One transformer, ready to run."""

    run: Callable[[ResourceSet], None]
    place: Place
    name: str
    """The field it comes from, or the kind of its configuration."""
    origin: OriginNote | None = None
    keeps_index: bool = False
    """It tells the set itself which identities it changed."""


STEP_ERRORS: Final = (
    TransformError,
    SetError,
    FieldError,
    selecting.SelectorError,
    patterns.PatternError,
    patching.PatchTextError,
    plugins.PluginError,
    transforming.NotScalarError,
)
_CODES: Final = {
    "SetError": "DuplicateObject",
    "TransformError": "Transform",
    "FieldError": "FieldSpec",
    "SelectorError": "Selector",
    "PatternError": "Pattern",
    "PatchTextError": "Patch",
    "GenerateError": "Generator",
    "NotScalarError": "Transform",
}


def absorb(resources: ResourceSet, made: Iterable[Resource]) -> None:
    """Add generated objects: create, or replace or merge into the one that is there. Raises SetError."""
    for resource in made:
        identity = resources.ids.current(resource)
        matches = resources.by_any_id(identity)
        if not matches:
            if resource.behavior in ("merge", "replace"):
                raise SetError(f"id {identity} does not exist; cannot merge or replace", (resource,))
            resources.append(resource)
        elif len(matches) > 1:
            raise SetError(f"found multiple objects that could accept merge of {identity}", tuple(matches))
        elif resource.behavior not in ("merge", "replace"):
            behavior = resource.behavior if resource.behavior == "create" else "unspecified"
            raise SetError(
                f"id {identity} exists; can not use behavior: '{behavior}', behavior must be merge or replace",
                (matches[0], resource),
            )
        else:
            present = resources.ids.current(matches[0])
            if present.gvk != identity.gvk:
                gone = identity._replace(name=present.name, namespace=present.namespace)
                raise SetError(f"cannot find resource with id {gone} to replace: a patch gave it another kind", (matches[0],))
            _replace(resources, matches[0], resource)


def _replace(resources: ResourceSet, old: Resource, new: Resource) -> None:
    origin = old.texts("annotations").get(origins.ORIGIN)
    metadata = new.metadata()
    for name in ("labels", "annotations"):
        texts = {**old.spelled_texts(name), **new.texts(name)}
        metadata.pop(name, None)
        if texts:
            metadata[name] = texts
    metadata["name"] = old.name
    metadata.pop("namespace", None)
    if old.namespace:
        metadata["namespace"] = old.namespace
    if new.behavior == "merge":
        for name in ("data", "binaryData"):
            merged = {**_texts(old.value.get(name)), **_texts(new.value.get(name))}
            new.value.pop(name, None)
            if merged:
                new.value[name] = merged
        if origin is not None:
            metadata.setdefault("annotations", {})[origins.ORIGIN] = origin
    new.previous, new.prefixes, new.suffixes = old.previous, old.prefixes, old.suffixes
    new.needs_hash = new.needs_hash and old.needs_hash
    new.behavior = old.behavior
    new.variables = old.variables
    new.transformers = (*old.transformers, f"{old.kind.lower()}Generator {new.place}")
    resources.replace(old, new)


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {key: "" if item is None else scalars.text_of(item) for key, item in value.items()}


def _is_local(resource: Resource) -> bool:
    metadata = resource.value.get("metadata")
    annotations = metadata.get("annotations") if type(metadata) is dict else None
    if type(annotations) is not dict or "config.kubernetes.io/local-config" not in annotations:
        return False
    return scalars.text_of(annotations["config.kubernetes.io/local-config"]) != "false"


def _without_validation(value: dict[str, Any]) -> dict[str, Any] | None:
    """The object without the mark of a validator; None, which nothing equals, if it has other labels beside the mark.

    kustomize compares labels that it has written again with labels as they were read, and finds them different.
    """
    metadata = value.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if not isinstance(labels, dict) or "validated-by" not in labels:
        return value
    if len(labels) > 1:
        return None
    return {**value, "metadata": {key: item for key, item in value["metadata"].items() if key != "labels"}}


def _chain_to(chain: Chain, place: Place | None) -> Chain:
    return (*chain, place) if place is not None else chain


def _both_places(resources: tuple[Resource, ...]) -> str | None:
    places = [str(resource.found_at() or "") for resource in resources]
    places = [place for place in places if place]
    return "one is at " + ", the other at ".join(places) if len(places) > 1 else None
