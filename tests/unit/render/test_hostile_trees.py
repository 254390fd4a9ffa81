"""Kustomization trees that are wrong or hostile: refused with a place, or built as kustomize builds them; never a process."""

import time
from collections.abc import Mapping

import pytest

from penstock import render
from penstock.model.errors import InputError, Problem
from penstock.model.rendered import Rendered
from penstock.model.tree import Entry, MemoryTree
from penstock.render import Options
from penstock.yamldoc.reading import LENIENT


def thing(name: str = "a", kind: str = "ConfigMap") -> bytes:
    return f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n".encode()


def build(files: Mapping[str, bytes | str], path: str = "", options: Options = Options()) -> Rendered:  # noqa: B008 - frozen
    return render.build(MemoryTree(files), path, options)


def problems(files: Mapping[str, bytes | str], path: str = "", options: Options = Options()) -> list[Problem]:  # noqa: B008
    with pytest.raises(InputError) as caught:
        build(files, path, options)
    return list(caught.value.problems)


def refusal(files: Mapping[str, bytes | str], path: str = "", options: Options = Options()) -> Problem:  # noqa: B008
    (problem,) = problems(files, path, options)
    return problem


# -- paths ---------------------------------------------------------------------------------------------------------------


def test_a_file_above_the_kustomization_is_refused():
    files = {"app/kustomization.yaml": b"resources: [../r.yaml]\n", "r.yaml": thing()}
    problem = refusal(files, "app")
    assert (problem.code, str(problem.where)) == ("LoadRestricted", "app/kustomization.yaml:1:13")
    assert len(build(files, "app", Options(restriction="none")).objects) == 1


@pytest.mark.parametrize("restriction", ["rootOnly", "none"])
@pytest.mark.parametrize("path", ["../../r.yaml", "../../../../etc/passwd", "x/../../../r.yaml"])
def test_no_option_lets_a_path_leave_the_repository(path: str, restriction: str):
    files = {"app/kustomization.yaml": f"resources: [{path}]\n".encode()}
    options = Options(restriction="none") if restriction == "none" else Options()
    assert refusal(files, "app", options).code == "OutsideRepository"


@pytest.mark.parametrize("path", ["/etc/hostname", "/proc/self/environ", "/app/r.yaml"])
def test_an_absolute_path_is_refused(path: str):
    assert refusal({"kustomization.yaml": f"resources: [{path}]\n".encode()}).code == "AbsolutePath"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd"])
@pytest.mark.parametrize("field", ["resources: [link.yaml]", "configMapGenerator: [{name: a, files: [link.yaml]}]"])
def test_a_link_out_of_the_repository_is_refused(field: str, target: str):
    problem = refusal({"app/kustomization.yaml": f"{field}\n".encode(), "app/link.yaml": target}, "app")
    assert problem.code in ("SymlinkOutside", "OutsideRepository")
    assert problem.where is not None
    assert problem.where.path == "app/kustomization.yaml"


def test_a_link_to_a_folder_inside_the_repository_is_a_base():
    files = {
        "app/kustomization.yaml": b"resources: [base]\n",
        "app/base": "../real",
        "real/kustomization.yaml": b"resources: [r.yaml]\n",
    }
    assert [item.id.name for item in build({**files, "real/r.yaml": thing()}, "app").objects] == ["a"]


def test_a_loop_or_a_long_chain_of_links_is_refused():
    loop = {"kustomization.yaml": b"resources: [a.yaml]\n", "a.yaml": "b.yaml", "b.yaml": "a.yaml"}
    assert refusal(loop).code == "SymlinkLoop"
    chain: dict[str, bytes | str] = {f"l{index}.yaml": f"l{index + 1}.yaml" for index in range(200)}
    chain |= {"kustomization.yaml": b"resources: [l0.yaml]\n", "l200.yaml": thing()}
    assert refusal(chain).code == "SymlinkLoop"


def test_a_folder_is_not_below_another_because_their_names_begin_alike():
    files = {
        "root/kustomization.yaml": b"resources: [../root-evil/r.yaml]\n",
        "root-evil/r.yaml": thing(),
    }
    assert refusal(files, "root").code == "LoadRestricted"
    files["root/kustomization.yaml"] = b"resources: [../root/../root-evil/r.yaml]\n"
    assert refusal(files, "root").code == "LoadRestricted"


@pytest.mark.parametrize("name", ["a%2e%2e.yaml", "a\\\\b.yaml", "a.yaml.", "a b.yaml", "A.yaml", "ä.yaml"])
def test_names_are_taken_literally(name: str):
    literal = name.replace("\\\\", "\\")
    files = {"kustomization.yaml": f'resources: ["{name}"]\n'.encode(), literal: thing()}
    assert len(build(files).objects) == 1
    assert refusal({**files, "kustomization.yaml": b"resources: [other.yaml]\n"}).code == "NotFound"


def test_a_nul_in_a_path_is_refused():
    assert refusal({"kustomization.yaml": b'resources: ["a\\0.yaml"]\n'}).code == "BadPath"


# -- the shape of the tree -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        {"a/kustomization.yaml": b"resources: [.]\n"},
        {"a/kustomization.yaml": b"resources: [../a]\n"},
        {"a/kustomization.yaml": b"resources: [../b]\n", "b/kustomization.yaml": b"resources: [../a]\n"},
        {"a/kustomization.yaml": b"resources: [b]\n", "a/b/kustomization.yaml": b"resources: [..]\n"},
        {
            "a/kustomization.yaml": b"components: [../b]\n",
            "b/kustomization.yaml": b"kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\ncomponents: [../a]\n",
        },
    ],
    ids=["itself", "itself by name", "two steps", "parent", "component"],
)
def test_a_cycle_is_refused_with_the_way_around_it(files: dict[str, bytes | str]):
    problem = problems(files, "a")[0]
    assert problem.code == "KustomizationCycle"
    assert "/a" in problem.what


def test_the_same_base_twice_is_a_duplicate():
    files = {
        "kustomization.yaml": b"resources: [l, r]\n",
        "l/kustomization.yaml": b"resources: [../base]\n",
        "r/kustomization.yaml": b"resources: [../base]\n",
        "base/kustomization.yaml": b"resources: [a.yaml]\n",
        "base/a.yaml": thing(),
    }
    problem = refusal(files)
    assert problem.code == "DuplicateObject"
    assert "already registered id" in problem.what


def test_a_duplicate_names_both_files():
    problem = refusal(
        {"kustomization.yaml": b"resources: [a.yaml, b.yaml]\n", "a.yaml": thing(), "b.yaml": b"# other\n" + thing()}
    )
    assert problem.hint == "one is at a.yaml:1:1, the other at b.yaml:2:1"


@pytest.mark.parametrize(
    ("kustomization", "code"),
    [
        (b"resources: [nothing.yaml]\n", "NotFound"),
        (b"resources: [nothing]\n", "NotFound"),
        (b"components: [nothing]\n", "NotFound"),
        (b"patches: [{path: nothing.yaml}]\n", "NotFound"),
        (b"", "KustomizationEmpty"),
        (b"# nothing\n", "KustomizationEmpty"),
    ],
)
def test_what_is_missing_is_an_error_and_never_an_empty_set(kustomization: bytes, code: str):
    assert refusal({"kustomization.yaml": kustomization}).code == code


def test_a_folder_has_exactly_one_kustomization():
    assert refusal({"a.yaml": thing()}).code == "NoKustomization"
    assert (
        refusal({"kustomization.yaml": b"resources: []\n", "kustomization.yml": b"resources: []\n"}).code == "ManyKustomizations"
    )


def test_a_missing_file_suggests_its_neighbour():
    assert (
        refusal({"kustomization.yaml": b"resources: [deploymnt.yaml]\n", "deployment.yaml": thing()}).hint
        == "deployment.yaml is there"
    )


@pytest.mark.parametrize(("field", "meant"), [("resource", "resources"), ("namspace", "namespace"), ("image", "images")])
def test_an_unknown_field_suggests_the_one_that_was_meant(field: str, meant: str):
    problem = refusal({"kustomization.yaml": f"{field}: []\n".encode()})
    assert (problem.code, str(problem.where)) == ("UnknownField", "kustomization.yaml:1:1")
    assert problem.hint is not None
    assert meant in problem.hint


def test_all_mistakes_are_told_at_once_each_with_its_place():
    files = {
        "kustomization.yaml": b"resources:\n- a.yaml\n- base\n- missing.yaml\npatches:\n- path: gone.yaml\n",
        "a.yaml": b"kind: Thing\nmetadata: {}\n",
        "base/kustomization.yaml": b"resources: [b.yaml]\n",
        "base/b.yaml": b"a: [\n",
    }
    found = problems(files)
    assert [(problem.code, str(problem.where)) for problem in found] == [
        ("MissingName", "a.yaml:2:1"),
        ("YamlSyntax", "base/b.yaml:2:1"),
        ("NotFound", "kustomization.yaml:4:3"),
        ("NotFound", "kustomization.yaml:6:3"),
    ]
    assert [str(place) for place in found[1].chain] == ["kustomization.yaml:3:3", "base/kustomization.yaml:1:13"]


# -- patches and selectors -----------------------------------------------------------------------------------------------

ONE = {"a.yaml": thing()}


def test_a_patch_for_nothing_is_an_error_by_name_and_a_warning_by_selector():
    by_name = b"resources: [a.yaml]\npatches:\n- patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}'\n"
    assert "no matches for Id" in refusal({**ONE, "kustomization.yaml": by_name}).what
    selected = b"resources: [a.yaml]\npatches:\n- target: {kind: Secret}\n  patch: '[{op: remove, path: /data}]'\n"
    (warning,) = build(
        {**ONE, "kustomization.yaml": selected.replace(b"'[{op: remove, path: /data}]'", b"'- {op: remove, path: /data}'")}
    ).warnings
    assert (warning.code, str(warning.where)) == ("PatchNoTarget", "kustomization.yaml:3:3")


def test_a_json_patch_names_the_operation_that_fails():
    text = (
        b"resources: [a.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: |-\n"
        b"    - {op: add, path: /data, value: {}}\n    - {op: remove, path: /nothing}\n"
    )
    problem = refusal({**ONE, "kustomization.yaml": text})
    assert "/nothing" in problem.what
    assert problem.where is not None
    assert problem.where.line == 3


@pytest.mark.parametrize(
    "kustomization",
    [
        "patches:\n- target: {name: '(a+)+$'}\n  patch: '- {op: add, path: /data, value: {}}'\n",
        "images:\n- name: '(a+)+$'\n  newTag: x\n",
        (
            "replacements:\n- source: {kind: ConfigMap, name: a}\n"
            "  targets: [{select: {name: '(a+)+$'}, fieldPaths: [metadata.name]}]\n"
        ),
    ],
)
def test_no_regular_expression_takes_longer_than_its_text(kustomization: str):
    long = "a" * 4000 + "!"
    files = {
        "kustomization.yaml": b"resources: [a.yaml, b.yaml]\n" + kustomization.encode(),
        "a.yaml": thing(),
        "b.yaml": f"apiVersion: v1\nkind: Pod\nmetadata: {{name: '{long}'}}\n"
        f"spec: {{containers: [{{image: '{long}'}}]}}\n".encode(),
    }
    start = time.process_time()
    build(files)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "(?=a)", "[z-a]"])
@pytest.mark.parametrize(
    "entry", ["patches:\n- target: {{name: '{0}'}}\n  patch: '- {{op: test, path: /a}}'\n", "images:\n- name: '{0}'\n"]
)
def test_a_broken_regular_expression_is_an_error_at_its_entry(entry: str, pattern: str):
    text = b"resources: [a.yaml]\n" + entry.format(pattern).encode()
    problem = refusal({**ONE, "kustomization.yaml": text})
    assert problem.where is not None
    assert (problem.where.path, problem.where.line) == ("kustomization.yaml", 3)


# -- generators ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{name: a, literals: [x=1, x=2]}", "x"),
        ("{name: a, literals: ['a b/c=1']}", "a b/c"),
        ("{name: a, files: [big]}", "larger"),
    ],
)
def test_a_generator_entry_that_no_cluster_would_take_is_refused(entry: str, says: str):
    files = {"kustomization.yaml": f"configMapGenerator: [{entry}]\n".encode(), "big": b"x" * 3_000_000}
    problem = refusal(files)
    assert says in problem.what
    assert problem.where is not None
    assert problem.where.line == 1


def test_the_same_generator_twice_is_a_duplicate():
    files: dict[str, bytes | str] = {"kustomization.yaml": b"configMapGenerator: [{name: a}, {name: a}]\n"}
    assert "exists; can not use behavior" in refusal(files).what


def test_nothing_comes_from_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PENSTOCK_CANARY", "canary")
    files: dict[str, bytes | str] = {
        "kustomization.yaml": b"configMapGenerator: [{name: a, envs: [e]}]\n",
        "e": b"PENSTOCK_CANARY\n",
    }
    assert b"canary\n" not in render.emit(build(files)).replace(b"PENSTOCK_CANARY", b"")


# -- budgets -------------------------------------------------------------------------------------------------------------


def test_there_is_a_budget_of_objects_and_of_output():
    many = b"---\n".join(thing(f"a{index}") for index in range(60))
    files = {"kustomization.yaml": b"resources: [a.yaml]\n", "a.yaml": many}
    assert refusal(files, options=Options(max_objects=50)).code == "RenderBudget"
    assert refusal(files, options=Options(max_output_bytes=500)).code == "RenderBudget"
    assert len(build(files, options=Options(max_objects=60)).objects) == 60


def test_kustomizations_may_be_nested_only_so_deep():
    files = {f"{'d/' * depth}kustomization.yaml": b"resources: [d]\n" for depth in range(150)}
    found = problems(files)
    assert found[-1].code == "RenderBudget"


# -- nothing remote, nothing run -----------------------------------------------------------------------------------------

REMOTE = [
    "https://example.com/r.yaml",
    "http://169.254.169.254/latest",
    "github.com/a/b?ref=main",
    "git@github.com:a/b.git",
    "ssh://git@example.com/a.git",
    "file:///etc/passwd",
    "ext::sh -c id",
    "git::https://example.com/a.git",
    "https://u:canary@example.com/a.git?ref=x",
]


@pytest.mark.parametrize("path", REMOTE)
@pytest.mark.parametrize("field", ["resources", "components"])
def test_a_remote_path_is_refused_without_its_credentials(field: str, path: str):
    problem = refusal({"kustomization.yaml": f"{field}: ['{path}']\n".encode()})
    assert problem.code == "RemoteBase"
    assert "canary" not in str(problem)


@pytest.mark.parametrize(
    "kustomization",
    [
        "helmCharts: [{name: x, repo: 'https://example.com'}]",
        "openapi: {path: 'https://example.com/x.json'}",
        "configMapGenerator: [{name: a, files: ['https://example.com/x']}]",
        "generators: [p.yaml]",
        "transformers: [e.yaml]",
    ],
)
def test_what_would_start_a_process_or_a_connection_is_refused(kustomization: str, monkeypatch: pytest.MonkeyPatch):
    import socket
    import subprocess

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a build must not do this")

    monkeypatch.setattr(subprocess, "Popen", never)
    monkeypatch.setattr(socket, "socket", never)
    files = {
        "kustomization.yaml": f"{kustomization}\n".encode(),
        "p.yaml": b"apiVersion: example.com/v1\nkind: Plugin\nmetadata: {name: a}\n",
        "e.yaml": b"apiVersion: v1\nkind: F\n"
        b"metadata: {name: a, annotations: {config.kubernetes.io/function: 'exec: {path: ./x}'}}\n",
    }
    assert problems(files)


class _WithSubmodule(MemoryTree):
    def entry(self, path: str) -> Entry | None:
        return Entry(kind="submodule", id="0" * 40) if path == "sub" else super().entry(path)


def test_a_submodule_or_an_lfs_pointer_is_no_content():
    tree = _WithSubmodule({"kustomization.yaml": b"resources: [sub]\n"})
    with pytest.raises(InputError) as caught:
        render.build(tree, "")
    assert caught.value.problems[0].code == "SubmodulePath"
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    assert refusal({"kustomization.yaml": b"resources: [a.yaml]\n", "a.yaml": pointer}).code == "LfsPointer"


# -- types ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["1.10", "6284e3", "0x10", "true"])
def test_a_tag_that_is_not_a_text_is_refused(tag: str):
    problem = refusal({"kustomization.yaml": f"images:\n- name: a\n  newTag: {tag}\n".encode()})
    assert problem.where is not None
    assert problem.where.line == 3
    assert tag not in problem.what


@pytest.mark.parametrize(
    "manifest",
    [
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a}\n",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n",
        b"apiVersion: v1\nmetadata: {name: a}\n",
        b"- a\n",
        b"just text\n",
    ],
)
def test_a_document_that_is_no_object_is_refused(manifest: bytes):
    assert refusal({"kustomization.yaml": b"resources: [a.yaml]\n", "a.yaml": manifest}).code in (
        "MissingName",
        "MissingKind",
        "MissingMetadata",
    )


def test_a_name_that_is_a_number_stays_one():
    files = {"kustomization.yaml": b"resources: [a.yaml]\n", "a.yaml": thing("123")}
    assert b"name: 123\n" in render.emit(build(files))


def test_lists_are_opened_and_empty_documents_dropped():
    files = {
        "kustomization.yaml": b"resources: [a.yaml]\n",
        "a.yaml": b"---\napiVersion: v1\nkind: ConfigMapList\nitems:\n"
        b"- metadata: {name: a}\n  apiVersion: v1\n  kind: ConfigMap\n---\n---\nnull\n",
    }
    assert [item.id.name for item in build(files).objects] == ["a"]


def test_a_repeated_field_of_a_kustomization_is_refused_unless_told_otherwise():
    files = {"kustomization.yaml": b"resources: [a.yaml]\nresources: [b.yaml]\n", "a.yaml": thing("a"), "b.yaml": thing("b")}
    assert refusal(files).code == "YamlDuplicateKey"
    assert [item.id.name for item in build(files, options=Options(leniency=LENIENT)).objects] == ["b"]


# -- the same input, the same bytes --------------------------------------------------------------------------------------


def test_a_build_depends_on_nothing_but_its_files():
    import os
    import subprocess
    import sys

    program = (
        "from penstock import render\n"
        "from penstock.model.tree import MemoryTree\n"
        "files = {'kustomization.yaml': b'resources: [a.yaml]\\nnamePrefix: p-\\ncommonLabels: {b: x, a: w}\\n"
        "configMapGenerator: [{name: g, literals: [z=1, a=2]}]\\n',"
        " 'a.yaml': b'apiVersion: v1\\nkind: Service\\nmetadata: {name: s, labels: {c: d}}\\nspec: {z: 1, a: 2}\\n'}\n"
        "built = render.build(MemoryTree(files), '')\n"
        "print(built.digest, render.emit(built).decode())\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"), ("4242", "America/Lima"))
    }
    assert len(said) == 1
