"""Bad kustomization trees, row by row: paths that lead out, loops, collisions, budgets, remote bases, plugins."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import bounded
import pygit2
import pytest
import rows
from generated.judging import Bench

from penstock import render
from penstock.adapters.files import DirectoryTree
from penstock.adapters.git.tree import GitTree, ObjectStore
from penstock.model.errors import InputError, Problem
from penstock.model.tree import MemoryTree
from penstock.model.values import TreeId
from penstock.render.options import Options
from penstock.yamldoc import reading

MIB = 1024 * 1024
Files = Mapping[str, bytes | str]


@pytest.fixture(scope="module")
def kustomize(kustomize_binary: Path) -> Iterator[Bench]:
    """The real kustomize."""
    with Bench(kustomize_binary) as bench:
        yield bench


def tree(texts: Mapping[str, str], links: Mapping[str, str] | None = None, path: str = "k") -> rows.Case:
    """A case of several files; `links` are symbolic."""
    files: dict[str, bytes | str] = {name: text.encode() for name, text in texts.items()}
    files.update(links or {})
    return rows.Case(files=files, path=path)


def listing(*names: str) -> str:
    return "resources:\n" + "".join(f"- {name}\n" for name in names)


def refused(case: rows.Case, code: str) -> Problem:
    """The refusal, by its code, with a place."""
    (problem,) = rows.problems(case)
    assert problem.code == code, str(problem)
    assert problem.where is not None and problem.where.path
    return problem


def both_refuse(kustomize: Bench, case: rows.Case, code: str) -> Problem:
    assert kustomize.theirs(case).error
    return refused(case, code)


def same(kustomize: Bench, case: rows.Case, leniency: reading.Leniency = reading.STRICT) -> None:
    theirs = kustomize.theirs(case)
    assert not theirs.error, theirs.error
    assert rows.built(case, leniency) == theirs.printed


CM = rows.config_map()


# -- K01 to K08: paths -------------------------------------------------------------------------------------------------


def test_k01_a_file_above_the_kustomization_is_refused_and_can_be_allowed(kustomize: Bench) -> None:
    case = tree({"r.yaml": CM, "k/kustomization.yaml": listing("../r.yaml")})
    assert str(both_refuse(kustomize, case, "LoadRestricted").where) == "k/kustomization.yaml:2:3"
    allowed = render.build(case.tree(), "k", Options(restriction="none"))
    open_case = rows.Case(files=case.files, path="k", unrestricted=True)
    assert render.emit(allowed) == kustomize.theirs(open_case).printed


def test_k01_nothing_outside_the_source_is_read_even_without_the_restriction(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(CM)
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "kustomization.yaml").write_text(listing("../secret.yaml"))
    with pytest.raises(InputError) as caught:
        render.build(DirectoryTree(tmp_path / "repo"), "", Options(restriction="none"))
    assert caught.value.code == "OutsideRepository"


PATH_FIELDS = {
    "resources": "resources: ['%s']\n",
    "bases": "bases: ['%s']\n",
    "components": "components: ['%s']\n",
    "crds": "crds: ['%s']\n",
    "configurations": "configurations: ['%s']\n",
    "generators": "generators: ['%s']\n",
    "transformers": "transformers: ['%s']\n",
    "validators": "validators: ['%s']\n",
    "openapi": "openapi: {path: '%s'}\n",
    "patches": "patches: [{path: '%s'}]\n",
    "patchesStrategicMerge": "patchesStrategicMerge: ['%s']\n",
    "patchesJson6902": "patchesJson6902: [{path: '%s', target: {version: v1, kind: ConfigMap, name: x}}]\n",
    "replacements": "replacements: [{path: '%s'}]\n",
    "generator files": "configMapGenerator: [{name: g, files: ['%s']}]\n",
    "named generator files": "configMapGenerator: [{name: g, files: ['key=%s']}]\n",
    "generator envs": "secretGenerator: [{name: g, envs: ['%s']}]\n",
}
ESCAPES = ("/etc/hostname", "../../../../../../etc/hostname", "out", "up/hostname")


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("field", PATH_FIELDS)
def test_k02_k03_no_field_reads_outside_the_source(tmp_path: Path, field: str, escape: str) -> None:
    folder = tmp_path / "repo" / "k"
    folder.mkdir(parents=True)
    canary = "canary-of-the-host"
    (tmp_path / "hostname").write_text(canary)
    (folder / "out").symlink_to(tmp_path / "hostname")
    (folder / "up").symlink_to("../..")
    text = PATH_FIELDS[field] % escape
    (folder / "kustomization.yaml").write_text((listing("a.yaml") if "resources" not in text else "") + text)
    (folder / "a.yaml").write_text(CM)
    with pytest.raises(InputError) as caught:
        render.build(DirectoryTree(tmp_path / "repo"), "k", Options(restriction="none"))
    codes = {problem.code for problem in caught.value.problems}
    assert codes & {"AbsolutePath", "OutsideRepository", "SymlinkOutside"}, str(caught.value)
    assert canary not in str(caught.value)


def test_k03_links_to_host_files_are_refused_as_kustomize_refuses_them(kustomize: Bench) -> None:
    generator = {"k/kustomization.yaml": "configMapGenerator: [{name: g, files: [l]}]\n"}
    both_refuse(kustomize, tree(generator, {"k/l": "/etc/passwd"}), "SymlinkOutside")
    both_refuse(kustomize, tree(generator, {"k/l": "../../../../../../../etc/passwd"}), "OutsideRepository")
    both_refuse(kustomize, tree({"k/kustomization.yaml": listing("/proc/self/environ")}), "AbsolutePath")


def test_k04_a_linked_directory_is_a_base_only_inside_the_source(kustomize: Bench) -> None:
    texts = {"k/kustomization.yaml": listing("l"), "b/kustomization.yaml": listing("a.yaml"), "b/a.yaml": CM}
    same(kustomize, tree(texts, {"k/l": "../b"}))
    refused(tree({"k/kustomization.yaml": listing("l")}, {"k/l": "/tmp"}), "SymlinkOutside")


def test_k05_loops_long_chains_and_devices_behind_links_are_refused(kustomize: Bench) -> None:
    both_refuse(kustomize, tree({"k/kustomization.yaml": listing("l")}, {"k/l": "l"}), "SymlinkLoop")
    two = {"k/a": "b", "k/b": "a"}
    both_refuse(kustomize, tree({"k/kustomization.yaml": listing("a")}, two), "SymlinkLoop")
    chain = {f"k/l{index}": f"l{index + 1}" for index in range(200)} | {"k/l200": "a.yaml"}
    refused(tree({"k/kustomization.yaml": listing("l0"), "k/a.yaml": CM}, chain), "SymlinkLoop")
    short = {f"k/l{index}": f"l{index + 1}" for index in range(30)} | {"k/l30": "a.yaml"}
    same(kustomize, tree({"k/kustomization.yaml": listing("l0"), "k/a.yaml": CM}, short))
    both_refuse(kustomize, tree({"k/kustomization.yaml": listing("l")}, {"k/l": "/dev/zero"}), "SymlinkOutside")


@pytest.mark.parametrize("path", ["../k-evil/a.yaml", "../k/../k-evil/a.yaml", "./../k-evil/a.yaml"])
def test_k06_names_are_compared_whole_not_by_prefix(kustomize: Bench, path: str) -> None:
    both_refuse(kustomize, tree({"k/kustomization.yaml": listing(path), "k-evil/a.yaml": CM}), "LoadRestricted")


def test_k06_a_way_around_that_stays_inside_is_fine(kustomize: Bench) -> None:
    same(kustomize, tree({"k/kustomization.yaml": listing("../k/./a.yaml"), "k/a.yaml": CM}))


def test_k07_names_are_literal(kustomize: Bench) -> None:
    names = ["a%2e%2e.yaml", "a\\b.yaml", "a.yaml ", "a..yaml", "A.yaml", "a.yaml", "ü.yaml"]
    texts = {f"k/{name}": rows.config_map(f"x{index}") for index, name in enumerate(names)}
    quoted = [f"'{name}'" for name in names]
    case = tree({"k/kustomization.yaml": listing(*quoted), **texts})
    same(kustomize, case)
    assert rows.built(case).count(b"kind: ConfigMap") == len(names)


def test_k07_a_nul_in_a_path_is_refused(kustomize: Bench) -> None:
    both_refuse(kustomize, tree({"k/kustomization.yaml": 'resources: ["a\\0.yaml"]\n'}), "BadPath")


def committed(repository: pygit2.Repository, files: Mapping[str, tuple[int, bytes | str]]) -> GitTree:
    """A tree of files by mode; a str content is the id of a commit elsewhere (a submodule)."""
    folders: dict[str, dict[str, tuple[int, str]]] = {"": {}}
    for path, (mode, content) in files.items():
        parent, _, name = path.rpartition("/")
        blob = content if isinstance(content, str) else str(repository.create_blob(content))
        folders.setdefault(parent, {})[name] = (mode, blob)
    builder = repository.TreeBuilder()
    for parent, entries in folders.items():
        target = builder if not parent else repository.TreeBuilder()
        for name, (mode, blob) in entries.items():
            target.insert(name, blob, mode)
        if parent:
            builder.insert(parent, target.write(), pygit2.enums.FileMode.TREE)
    return GitTree(ObjectStore(repository), TreeId(str(builder.write())))


def test_k08_a_build_of_a_commit_does_not_see_the_work_tree_change(tmp_path: Path) -> None:
    repository = pygit2.init_repository(str(tmp_path / "repo"))
    found = committed(
        repository,
        {"k/kustomization.yaml": (0o100644, listing("a.yaml").encode()), "k/a.yaml": (0o100644, CM.encode())},
    )
    before = render.build(found, "k").digest
    (tmp_path / "repo" / "k").mkdir()
    (tmp_path / "repo" / "k" / "a.yaml").symlink_to("/etc/passwd")
    assert render.build(found, "k").digest == before


# -- K09 to K19: structure ---------------------------------------------------------------------------------------------

COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
CYCLES = {
    "self": ({"k/kustomization.yaml": listing(".")}, "/k > /k"),
    "two steps": ({"k/kustomization.yaml": listing("../b"), "b/kustomization.yaml": listing("../k")}, "/k > /b > /k"),
    "parent": ({"k/kustomization.yaml": listing(".."), "kustomization.yaml": listing("k")}, "/k > /"),
    "component": (
        {"k/kustomization.yaml": "components: [../c]\n", "c/kustomization.yaml": COMPONENT + "components: [../c]\n"},
        "/c > /c",
    ),
    "three steps": (
        {
            "k/kustomization.yaml": listing("../b"),
            "b/kustomization.yaml": listing("../c"),
            "c/kustomization.yaml": listing("../k"),
        },
        "/k > /b > /c > /k",
    ),
}


@pytest.mark.parametrize("cycle", CYCLES)
def test_k09_to_k13_cycles_are_refused_with_their_way(kustomize: Bench, cycle: str) -> None:
    texts, way = CYCLES[cycle]
    problem = both_refuse(kustomize, tree(texts), "KustomizationCycle")
    assert way in problem.what


def test_k13_a_cycle_through_a_link_is_a_cycle(kustomize: Bench) -> None:
    both_refuse(kustomize, tree({"k/kustomization.yaml": listing("again")}, {"k/again": "../k"}), "KustomizationCycle")


def test_k14_the_same_base_on_two_ways_is_a_collision(kustomize: Bench) -> None:
    texts = {"k/kustomization.yaml": listing("../a", "../b"), "z/kustomization.yaml": listing("x.yaml"), "z/x.yaml": CM}
    texts |= {f"{side}/kustomization.yaml": listing("../z") for side in "ab"}
    problem = both_refuse(kustomize, tree(texts), "DuplicateObject")
    assert "z/x.yaml" in (problem.hint or "")


def test_k15_two_objects_of_one_id_are_refused_and_both_places_named(kustomize: Bench) -> None:
    one_file = {"k/kustomization.yaml": listing("a.yaml"), "k/a.yaml": f"{CM}---\n{CM}"}
    hint = both_refuse(kustomize, tree(one_file), "DuplicateObject").hint or ""
    assert "k/a.yaml:1:1" in hint and "k/a.yaml:6:1" in hint
    two_files = {"k/kustomization.yaml": listing("a.yaml", "b.yaml"), "k/a.yaml": CM, "k/b.yaml": CM}
    hint = both_refuse(kustomize, tree(two_files), "DuplicateObject").hint or ""
    assert "k/a.yaml" in hint and "k/b.yaml" in hint


def test_k15_objects_that_only_come_to_share_an_id_are_refused_too(kustomize: Bench) -> None:
    patch = 'patches:\n- target: {kind: ConfigMap}\n  patch: \'[{"op": "replace", "path": "/metadata/name", "value": "same"}]\'\n'
    texts = {"k/kustomization.yaml": listing("a.yaml") + patch, "k/a.yaml": rows.config_map("a") + "---\n" + rows.config_map("b")}
    both_refuse(kustomize, tree(texts), "DuplicateObject")


MISSING = {
    "resource": (listing("no.yaml"), "NotFound"),
    "base": (listing("../no"), "NotFound"),
    "patch": (listing("a.yaml") + "patches: [{path: no.yaml}]\n", "NotFound"),
    "component": (listing("a.yaml") + "components: [../no]\n", "NotFound"),
    "empty": ("", "KustomizationEmpty"),
    "comments": ("# nothing\n", "KustomizationEmpty"),
    "only a kind": ("kind: Kustomization\n", "KustomizationEmpty"),
}


@pytest.mark.parametrize("missing", MISSING)
def test_k16_what_is_missing_is_an_error_and_never_an_empty_set(kustomize: Bench, missing: str) -> None:
    text, code = MISSING[missing]
    both_refuse(kustomize, tree({"k/kustomization.yaml": text, "k/a.yaml": CM}), code)


def test_k16_no_kustomization_and_two_of_them_are_errors(kustomize: Bench) -> None:
    both_refuse(kustomize, tree({"k/a.yaml": CM}), "NoKustomization")
    both_refuse(kustomize, tree({"b/a.yaml": CM}), "NotFound")
    two = {"k/kustomization.yaml": listing("a.yaml"), "k/Kustomization": listing("a.yaml"), "k/a.yaml": CM}
    both_refuse(kustomize, tree(two), "ManyKustomizations")


@pytest.mark.parametrize(("field", "meant"), [("resource", "resources"), ("patchs", "patches"), ("nameprefx", "namePrefix")])
def test_k17_an_unknown_field_is_refused_with_the_one_that_was_meant(kustomize: Bench, field: str, meant: str) -> None:
    problem = both_refuse(kustomize, tree({"k/kustomization.yaml": f"{field}: [a.yaml]\n"}), "UnknownField")
    assert str(problem.where) == "k/kustomization.yaml:1:1"
    assert meant in (problem.hint or "")


def test_k18_a_patch_for_an_object_that_is_not_there_is_refused(kustomize: Bench) -> None:
    patch = "patches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: nobody}\n"
    case = tree({"k/kustomization.yaml": listing("a.yaml") + patch, "k/a.yaml": CM})
    assert kustomize.theirs(case).error
    (problem,) = rows.problems(case)
    assert "nobody" in problem.what
    assert str(problem.where) == "k/kustomization.yaml:4:3"


def test_k18_a_selector_that_selects_nothing_is_a_warning(kustomize: Bench) -> None:
    patch = 'patches:\n- target: {kind: Deployment}\n  patch: \'[{"op": "add", "path": "/a", "value": 1}]\'\n'
    case = tree({"k/kustomization.yaml": listing("a.yaml") + patch, "k/a.yaml": CM})
    same(kustomize, case)
    (warning,) = render.build(case.tree(), "k").warnings
    assert "selects nothing" in warning.what
    assert warning.where is not None and warning.where.line == 4


def test_k19_a_json_patch_that_misses_names_the_operation(kustomize: Bench) -> None:
    patch = "patches:\n- target: {kind: ConfigMap}\n  patch: |\n    - {op: add, path: /a, value: 1}\n"
    patch += "    - {op: replace, path: /b/c, value: canary}\n"
    case = tree({"k/kustomization.yaml": listing("a.yaml") + patch, "k/a.yaml": CM})
    assert kustomize.theirs(case).error
    (problem,) = rows.problems(case)
    assert "operation 2" in problem.what and "/b/c" in problem.what
    assert "canary" not in str(problem)


# -- K20 to K28: budgets, refusals, determinism ------------------------------------------------------------------------

EXPRESSIONS = ["(a+)+$", "(a|a)*b", "(.*)*x", "(a?){40}a{40}", "((a{0,30}){0,30})z"]


@pytest.mark.parametrize("pattern", EXPRESSIONS)
def test_k20_no_expression_takes_more_than_linear_time(kustomize: Bench, pattern: str) -> None:
    patch = f'patches:\n- target: {{name: \'{pattern}\'}}\n  patch: \'[{{"op": "add", "path": "/a", "value": 1}}]\'\n'
    name = "a" * 250
    case = tree({"k/kustomization.yaml": listing("a.yaml") + patch, "k/a.yaml": rows.config_map(name)})
    started = time.process_time()
    ours = kustomize.ours(case)
    assert time.process_time() - started < 1
    assert ours.printed == kustomize.theirs(case).printed


def test_k20_an_expression_that_is_none_is_refused_where_kustomize_panics(kustomize: Bench) -> None:
    images = "images: [{name: 'a(b', newTag: x}]\n"
    pod = CM + "spec: {containers: [{image: 'a(b:1'}]}\n"
    both_refuse(kustomize, tree({"k/kustomization.yaml": listing("a.yaml") + images, "k/a.yaml": pod}), "Pattern")


def test_k21_a_key_generated_twice_and_a_name_generated_twice_are_refused(kustomize: Bench) -> None:
    twice = "configMapGenerator: [{name: x, literals: [a=1, a=2]}]\n"
    both_refuse(kustomize, tree({"k/kustomization.yaml": twice}), "Generator")
    both_refuse(kustomize, tree({"k/kustomization.yaml": "configMapGenerator: [{name: x}, {name: x}]\n"}), "DuplicateObject")


def test_k21_keys_and_sizes_no_cluster_takes_are_refused_and_can_be_let_through(kustomize: Bench) -> None:
    bad_key = tree({"k/kustomization.yaml": "configMapGenerator: [{name: x, literals: ['a b/c=1']}]\n"})
    big = tree({"k/kustomization.yaml": "secretGenerator: [{name: x, files: [big]}]\n", "k/big": "x" * 3 * MIB})
    for case in (bad_key, big):
        refused(case, "Generator")
        same(kustomize, case, reading.LENIENT)
        same(kustomize, case, reading.Leniency(unchecked_data=True))


def test_k21_an_env_line_without_a_value_never_takes_ours(kustomize: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_CANARY", "leaked")
    case = tree({"k/kustomization.yaml": "configMapGenerator: [{name: x, envs: [e]}]\n", "k/e": "PENSTOCK_CANARY\nB=1\n"})
    same(kustomize, case)
    assert b"leaked" not in rows.built(case)


def test_k22_more_objects_than_the_budget_are_refused_within_bounds(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(listing("a.yaml"))
    (tmp_path / "a.yaml").write_text("---\n".join(rows.config_map(f"x{index}") for index in range(20_001)))
    outcome = bounded.build(tmp_path)
    assert outcome.code == "RenderBudget"
    assert outcome.cpu_seconds < 10
    assert outcome.peak_bytes < 512 * MIB


def test_k22_more_generators_than_the_budget_are_refused(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        "configMapGenerator:\n" + "".join(f"- {{name: g{index}, literals: [a=b]}}\n" for index in range(20_001))
    )
    outcome = bounded.build(tmp_path)
    assert outcome.code == "RenderBudget"
    assert outcome.cpu_seconds < 30


def test_k22_more_output_than_the_budget_is_refused() -> None:
    case = tree({"k/kustomization.yaml": listing("a.yaml"), "k/a.yaml": rows.config_map(more=f"data: {{a: {'x' * 5000}}}\n")})
    with pytest.raises(InputError) as caught:
        render.build(case.tree(), "k", Options(max_output_bytes=4096))
    assert caught.value.code == "RenderBudget"


def test_k22_a_build_that_would_take_minutes_ends_when_its_cpu_time_is_used_up() -> None:
    patch = '- target: {name: \'(a|b|x)*[0-9]+\'}\n  patch: \'[{"op": "add", "path": "/data", "value": {}}]\'\n'
    texts = {
        "k/kustomization.yaml": listing("a.yaml") + "patches:\n" + patch * 2000,
        "k/a.yaml": "---\n".join(rows.config_map(f"x{index}") for index in range(3000)),
    }
    started = time.process_time()
    with pytest.raises(InputError) as caught:
        render.build(tree(texts).tree(), "k", Options(clock=time.process_time, max_cpu_seconds=2))
    assert time.process_time() - started < 6
    assert [problem.code for problem in caught.value.problems] == ["RenderBudget"]
    assert "2 seconds" in caught.value.problems[0].what


SLOW = [
    "labels: [{pairs: {a: b}}]\n",
    "images: [{name: a, newTag: b}]\n",
    "namespace: x\n",
    "replacements: [{sourceValue: x, targets: [{select: {kind: ConfigMap}, fieldPaths: [metadata.labels.a]}]}]\n",
    "configMapGenerator: [{name: g, literals: [a=b]}]\n",
    "commonAnnotations: {a: b}\n",
]


@pytest.mark.parametrize("field", SLOW)
def test_k22_every_field_looks_at_the_clock(field: str) -> None:
    objects = [rows.config_map(f"x{index}\n  labels: {{a: b}}") for index in range(200)]
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return float(looks)

    def looked_at(fields: str, budget: float) -> int:
        nonlocal looks
        looks = 0
        case = tree({"k/kustomization.yaml": listing("a.yaml") + fields, "k/a.yaml": "---\n".join(objects)})
        render.build(case.tree(), "k", Options(clock=clock, max_cpu_seconds=budget))
        return looks

    needed = looked_at(field, 1e9)
    assert needed > looked_at("", 1e9)
    for budget in (1, needed // 2, needed - 2):
        with pytest.raises(InputError) as caught:
            looked_at(field, budget)
        assert [problem.code for problem in caught.value.problems] == ["RenderBudget"]


REMOTE = [
    "https://example.invalid/a.yaml",
    "http://169.254.169.254/latest/meta-data",
    "git::https://example.invalid/b",
    "ssh://git@example.invalid/b",
    "git@example.invalid:a/b.git",
    "github.com/a/b?ref=main",
    "github.com/a/b//c",
    "https://user:canary@example.invalid/b.git",
    "file:///etc",
    "ext::sh -c id",
    "--upload-pack=touch",
    "oci://example.invalid/b",
]


@pytest.mark.parametrize("url", REMOTE)
def test_k23_remote_bases_are_refused_without_a_connection_or_a_process(url: str) -> None:
    case = tree({"k/kustomization.yaml": f"resources: ['{url}']\n"})
    started = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event.startswith(("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.system", "urllib.")):
            started.append(event)

    watching = True
    sys.addaudithook(watch)
    try:
        (problem,) = rows.problems(case)
    finally:
        watching = False
    assert problem.code in ("RemoteBase", "NotFound")
    assert started == []
    assert "canary" not in str(problem)


REFUSED = {
    "helm charts": ("helmCharts: [{name: x}]\n", {}),
    "old helm charts": ("helmChartInflationGenerator: [{chartName: x}]\n", {}),
    "an openapi url": ("openapi: {path: 'https://example.invalid/z'}\n", {}),
    "an exec function": (
        "transformers: [t.yaml]\n",
        {"t.yaml": "kind: T\nmetadata:\n  name: t\n  annotations:\n    config.kubernetes.io/function: 'exec: {path: /bin/id}'\n"},
    ),
    "a container function": (
        "generators: [t.yaml]\n",
        {"t.yaml": "kind: T\nmetadata:\n  name: t\n  annotations:\n    config.kubernetes.io/function: 'container: {image: x}'\n"},
    ),
    "a plugin": ("validators: [t.yaml]\n", {"t.yaml": "apiVersion: x.example.com/v1\nkind: T\nmetadata: {name: t}\n"}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_k24_what_would_start_a_process_is_refused(what: str) -> None:
    text, files = REFUSED[what]
    case = tree(
        {"k/kustomization.yaml": listing("a.yaml") + text, "k/a.yaml": CM} | {f"k/{name}": body for name, body in files.items()}
    )
    (problem,) = rows.problems(case)
    assert problem.where is not None and problem.where.path.startswith("k/")
    assert problem.code in ("HelmChart", "RemoteBase", "ExternalPlugin", "FunctionPlugin")


def test_k25_a_namespace_field_renames_namespaces_as_kustomize_does(kustomize: Bench) -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: dev}\n"
    case = tree({"k/kustomization.yaml": listing("a.yaml") + "namespace: flux-system\n", "k/a.yaml": namespace})
    same(kustomize, case)
    assert b"name: flux-system" in rows.built(case)


@pytest.mark.parametrize("tag", ["1.10", "6284e3", "12345", "true"])
def test_k26_a_tag_that_yaml_takes_for_something_else_is_refused(kustomize: Bench, tag: str) -> None:
    texts = {"k/kustomization.yaml": listing("a.yaml") + f"images: [{{name: a, newTag: {tag}}}]\n", "k/a.yaml": CM}
    problem = both_refuse(kustomize, tree(texts), "KustomizationType")
    assert "quotes" in (problem.hint or "")
    texts["k/kustomization.yaml"] = listing("a.yaml") + f"images: [{{name: a, newTag: '{tag}'}}]\n"
    texts["k/a.yaml"] = CM + "spec: {containers: [{image: a}]}\n"
    same(kustomize, tree(texts))
    assert f"image: a:{tag}".encode() in rows.built(tree(texts))


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d7a' * 16}\nsize 12\n"


@pytest.mark.parametrize(
    "text",
    [listing("a.yaml"), "configMapGenerator: [{name: g, files: [a.yaml]}]\n", "secretGenerator: [{name: g, envs: [a.yaml]}]\n"],
)
def test_k27_a_git_lfs_pointer_is_refused_wherever_it_is_read(text: str) -> None:
    refused(tree({"k/kustomization.yaml": text, "k/a.yaml": POINTER}), "LfsPointer")


def test_k27_a_submodule_is_refused(tmp_path: Path) -> None:
    repository = pygit2.init_repository(str(tmp_path / "repo"), bare=True)
    files: dict[str, tuple[int, bytes | str]] = {
        "k/kustomization.yaml": (0o100644, listing("module").encode()),
        "k/module": (0o160000, "1" * 40),
    }
    with pytest.raises(InputError) as caught:
        render.build(committed(repository, files), "k")
    assert caught.value.code == "SubmodulePath"


class Shuffled(MemoryTree):
    """A tree whose listings come in another order each time."""

    def __init__(self, files: Files, seed: int) -> None:
        names = list(files)
        self._random = random.Random(seed)
        self._random.shuffle(names)
        super().__init__({name: files[name] for name in names})

    def names(self, path: str) -> tuple[str, ...]:
        found = list(super().names(path))
        self._random.shuffle(found)
        return tuple(found)


MIXED = {
    "k/kustomization.yaml": "resources: [b.yaml, a.yaml, ../base]\n"
    "labels: [{pairs: {z: '1', a: '2', m: '3'}, includeSelectors: true}]\n"
    "configMapGenerator: [{name: g, literals: [b=1, a=2]}]\nnamePrefix: p-\ncommonAnnotations: {q: '1', b: '2'}\n",
    "k/a.yaml": rows.config_map("a", "data: {z: '1', y: '2', x: '3'}\n"),
    "k/b.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: [{name: c, "
    "image: i, envFrom: [{configMapRef: {name: g}}, {configMapRef: {name: a}}]}]}}}\n",
    "base/kustomization.yaml": "resources: [c.yaml]\nnamespace: ns\n",
    "base/c.yaml": "---\n".join(rows.config_map(f"c{index}") for index in range(20)),
}


def test_k28_a_hundred_builds_with_shuffled_listings_are_one_build() -> None:
    files = {name: text.encode() for name, text in MIXED.items()}
    assert len({render.build(Shuffled(files, seed), "k").digest for seed in range(100)}) == 1


def test_k28_the_hash_seed_of_the_process_makes_no_difference(tmp_path: Path) -> None:
    tree(MIXED).write(tmp_path)
    script = (
        "import sys, pathlib; from penstock import render; from penstock.adapters.files import DirectoryTree; "
        "print(render.build(DirectoryTree(pathlib.Path(sys.argv[1])), 'k').digest)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in (1, 2, 3)
    }
    assert len(digests) == 1
