"""Merging environments: which files change, and what moves with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from penstock import merge
from penstock.model.tree import Entry, MemoryTree, blob_id
from penstock.model.values import MISSING, TreeId


def config(name: str, value: object = 1, more: str = "") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  v: {value}\n{more}"


def tree(root: str, files: Mapping[str, str | bytes]) -> MemoryTree:
    return MemoryTree({f"{root}/{path}": text.encode() if isinstance(text, str) else text for path, text in files.items()})


def trees(
    base: Mapping[str, str | bytes] | None, source: Mapping[str, str | bytes], target: Mapping[str, str | bytes], **options: Any
) -> merge.TreeMerge:
    return merge.trees(
        tree("clusters/dev", base) if base is not None else None,
        tree("clusters/dev", source),
        tree("clusters/staging", target),
        source_root="clusters/dev",
        target_root="clusters/staging",
        **options,
    )


def changes(merged: merge.TreeMerge) -> dict[str, str | None]:
    return {
        path.removeprefix("clusters/staging/"): content.decode() if content is not None else None
        for path, content in merged.changes.items()
    }


def kinds(notes: Sequence[merge.Note]) -> list[str]:
    return [note.kind for note in notes]


def test_a_changed_file_is_merged_and_the_others_are_left_out() -> None:
    before = {"web/a.yaml": config("a"), "web/b.yaml": config("b")}
    merged = trees(
        before,
        before | {"web/a.yaml": config("a", 2)},
        {"web/a.yaml": config("a", 1, "  own: 1\n"), "web/b.yaml": config("b", 9)},
    )
    assert changes(merged) == {"web/a.yaml": config("a", 2, "  own: 1\n")}
    assert [(str(change), change.before, change.after) for change in merged.fields] == [("#ConfigMap/a data.v", "1", "2")]
    assert [(str(kept), kept.source, kept.target, kept.declared) for kept in merged.kept] == [
        ("#ConfigMap/a data.own", MISSING, "1", False)
    ]


def test_a_new_file_is_created_and_pointed_out() -> None:
    merged = trees({}, {"api/a.yaml": config("a", "here")}, {})
    assert changes(merged) == {"api/a.yaml": config("a", "here")}
    assert kinds(merged.notes) == ["new-file"]


def test_a_value_that_comes_in_and_names_the_source_environment_is_pointed_out_with_its_line() -> None:
    merged = trees({}, {"api/a.yaml": config("a", "api.dev.example", "  device: x\n")}, {}, names=["sandbox"])
    assert [(note.kind, str(note.place), note.field) for note in merged.notes if note.kind == "names-source"] == [
        ("names-source", "clusters/staging/api/a.yaml:6:6", "data.v")
    ]
    known = {"a.yaml": config("a", "api.dev.example")}
    assert kinds(
        trees(known, {"a.yaml": config("a", "api.dev.example", "  n: sandbox-1\n")}, known, names=["sandbox"]).notes
    ) == ["names-source"]


def test_a_value_of_a_secret_that_names_the_source_environment_is_not_shown() -> None:
    merged = trees({}, {"s.yaml": config("s", "dev-swordfish").replace("ConfigMap", "Secret")}, {})
    assert kinds(merged.notes) == ["new-file"]
    assert "swordfish" not in repr(merged.fields) + repr(merged.notes)


def test_a_deleted_file_is_deleted_here_when_it_says_the_same() -> None:
    merged = trees({"a.yaml": config("a")}, {}, {"a.yaml": "# ours\n" + config("a")})
    assert changes(merged) == {"a.yaml": None}
    assert kinds(merged.notes) == ["deleted-file"]


def test_a_deleted_file_that_differs_here_asks() -> None:
    merged = trees({"a.yaml": config("a")}, {}, {"a.yaml": config("a", 3)})
    assert (merged.changes, [str(conflict) for conflict in merged.conflicts]) == ({}, ["#ConfigMap/a"])
    assert merged.conflicts[0].kind == "removed-upstream"


def test_a_deleted_file_that_differs_only_as_declared_is_deleted() -> None:
    merged = trees({"a.yaml": config("a")}, {}, {"a.yaml": config("a", 3)}, declared=["data.v"])
    assert changes(merged) == {"a.yaml": None}


def test_a_person_may_take_the_deletion() -> None:
    choice = merge.Choice(field="", document="#ConfigMap/a", path="a.yaml", side="source")
    assert changes(trees({"a.yaml": config("a")}, {}, {"a.yaml": config("a", 3)}, choices=[choice])) == {"a.yaml": None}


def test_a_file_removed_here_and_changed_upstream_asks() -> None:
    merged = trees({"a.yaml": config("a")}, {"a.yaml": config("a", 2)}, {})
    assert [conflict.kind for conflict in merged.conflicts] == ["removed-here"]


def test_a_file_removed_here_and_unchanged_upstream_stays_away() -> None:
    assert trees({"a.yaml": config("a")}, {"a.yaml": config("a")}, {}) == merge.TreeMerge()


def test_a_renamed_file_takes_the_target_s_differences_along() -> None:
    merged = trees({"a.yaml": config("x")}, {"b.yaml": config("x", 2)}, {"a.yaml": "# ours\n" + config("x", 1, "  own: 1 # c\n")})
    assert changes(merged) == {"a.yaml": None, "b.yaml": "# ours\n" + config("x", 2, "  own: 1 # c\n")}
    assert kinds(merged.notes) == ["moved"]


def test_a_renamed_directory_takes_scripts_along_too() -> None:
    before = {"w/a.yaml": config("x"), "w/run.sh": "echo 1\n"}
    after = {path.replace("w/", "web/"): text for path, text in before.items()}
    merged = trees(before, after, {"w/a.yaml": config("x", 7), "w/run.sh": "echo prod\n"})
    assert changes(merged) == {"w/a.yaml": None, "w/run.sh": None, "web/a.yaml": config("x", 7), "web/run.sh": "echo prod\n"}


def test_an_object_split_off_takes_its_differences_along() -> None:
    merged = trees(
        {"a.yaml": config("x") + "---\n" + config("y")},
        {"a.yaml": config("x"), "b.yaml": config("y", 2)},
        {"a.yaml": config("x", 7, "  # mine\n") + "---\n" + config("y", 1, "  own: 1\n")},
    )
    assert changes(merged) == {"a.yaml": config("x", 7, "  # mine\n"), "b.yaml": config("y", 2, "  own: 1\n")}


def test_files_joined_to_one_are_joined_here() -> None:
    merged = trees(
        {"a.yaml": config("x"), "b.yaml": config("y")},
        {"a.yaml": config("x") + "---\n" + config("y", 2)},
        {"a.yaml": config("x", 7), "b.yaml": config("y", 1, "  own: 1 # c\n")},
    )
    assert changes(merged) == {"a.yaml": config("x", 7) + "---\n" + config("y", 2, "  own: 1 # c\n"), "b.yaml": None}


def test_a_move_into_a_conflict_takes_nothing_away_from_the_old_place() -> None:
    merged = trees(
        {"a.yaml": config("x") + "---\n" + config("y")},
        {"a.yaml": config("x"), "b.yaml": config("y", 2)},
        {"a.yaml": config("x", 7) + "---\n" + config("y", 9)},
    )
    assert [str(conflict) for conflict in merged.conflicts] == ["#ConfigMap/y data.v"]
    assert merged.changes == {}


def test_objects_that_the_target_keeps_in_a_file_of_another_name_are_changed_there() -> None:
    merged = trees(
        {"web/a.yaml": config("x")},
        {"web/a.yaml": config("x", 2)},
        {"web/all/ours.yaml": config("o") + "---\n" + config("x", 1, "  own: 1\n")},
    )
    assert changes(merged) == {"web/all/ours.yaml": config("o") + "---\n" + config("x", 2, "  own: 1\n")}


def test_objects_deleted_upstream_go_from_a_file_of_another_name_too() -> None:
    merged = trees({"web/a.yaml": config("x")}, {}, {"web/ours.yaml": config("o") + "---\n" + config("x")})
    assert changes(merged) == {"web/ours.yaml": config("o")}


def test_the_same_object_added_on_both_sides_under_different_names_asks() -> None:
    merged = trees({}, {"web/new.yaml": config("x", 1)}, {"web/ours.yaml": config("x", 2)})
    assert [(str(conflict), conflict.path) for conflict in merged.conflicts] == [
        ("#ConfigMap/x data.v", "clusters/staging/web/ours.yaml")
    ]


def test_without_a_base_every_difference_of_a_common_file_is_asked_for() -> None:
    merged = trees(
        None,
        {"a.yaml": config("a", 1), "b.yaml": config("b"), "c.yaml": config("n")},
        {"a.yaml": config("a", 2), "b.yaml": config("b")},
    )
    assert [(str(conflict), conflict.kind) for conflict in merged.conflicts] == [("#ConfigMap/a data.v", "never-promoted")]
    assert changes(merged) == {"c.yaml": config("n")}


def test_only_the_named_directories_are_looked_at() -> None:
    before = {"apps/a/c.yaml": config("a"), "apps/b/c.yaml": config("b"), "apps/ab.yaml": config("ab")}
    after = {path: text.replace("v: 1", "v: 2") for path, text in before.items()}
    assert list(trees(before, after, before, only=["apps/a"]).changes) == ["clusters/staging/apps/a/c.yaml"]
    assert list(trees(before, after, before, only=["apps/ab.yaml", "apps/b"]).changes) == [
        "clusters/staging/apps/ab.yaml",
        "clusters/staging/apps/b/c.yaml",
    ]


SEALED = "kind: Secret\nmetadata: {{name: s}}\ndata:\n  pw: ENC[AES256_GCM,data:{0}]\nsops:\n  mac: {0}\n  version: 3.8.1\n"


def test_an_encrypted_file_travels_as_ciphertext_and_is_reported() -> None:
    merged = trees({}, {"s.yaml": SEALED.format("aa")}, {})
    assert changes(merged) == {"s.yaml": SEALED.format("aa")}
    assert kinds(merged.notes) == ["ciphertext"]
    later = trees({"s.yaml": SEALED.format("aa")}, {"s.yaml": SEALED.format("bb")}, {"s.yaml": SEALED.format("aa")})
    assert changes(later) == {"s.yaml": SEALED.format("bb")}
    assert "ENC[" not in repr((later.fields, later.notes, later.kept))


def test_an_encrypted_file_is_never_merged_inside() -> None:
    sides = [
        {"s.yaml": SEALED.format(mark).replace("version: 3.8.1", f"version: {version}")}
        for mark, version in (("aa", 1), ("aa", 2), ("cc", 1))
    ]
    merged = trees(*sides)
    assert (merged.changes, [conflict.kind for conflict in merged.conflicts]) == ({}, ["ciphertext"])
    assert {merged.conflicts[0].base, merged.conflicts[0].source, merged.conflicts[0].target} == {"***"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("s.env", "PW=ENC[AES256_GCM,data:{0}]\nsops_mac=ENC[{0}]\nsops_version=3.8.1\n"),
        ("s.json", '{{"pw": "ENC[{0}]", "sops": {{"mac": "{0}", "version": "3"}}}}\n'),
        ("s.ini", "[a]\npw = ENC[{0}]\n[sops]\nmac = {0}\n"),
        ("s.bin", '{{"data": "ENC[{0}]", "sops": {{"mac": "{0}", "version": "3"}}}}\n'),
    ],
)
def test_every_kind_of_encrypted_file_is_known(path: str, text: str) -> None:
    merged = trees({path: text.format("a")}, {path: text.format("b")}, {path: text.format("c")})
    assert [conflict.kind for conflict in merged.conflicts] == ["ciphertext"]


def test_values_of_files_that_a_kustomization_makes_a_secret_of_are_hidden() -> None:
    kustomization = "secretGenerator:\n- name: s\n  envs: [db.env]\n"
    sides = [{"kustomization.yaml": kustomization, "db.env": f"PW={word}\n"} for word in ("one", "swordfish", "hunter2")]
    merged = trees(*sides)
    assert [str(conflict) for conflict in merged.conflicts] == ["PW"]
    assert "swordfish" not in repr(merged)
    assert "hunter2" not in repr(merged)


def test_a_symbolic_link_is_pointed_out_and_left_alone() -> None:
    source = MemoryTree({"clusters/dev/link": "elsewhere", "clusters/dev/a.txt": b"a\n"})
    merged = merge.trees(MemoryTree({}), source, MemoryTree({}), source_root="clusters/dev", target_root="clusters/prod")
    assert list(merged.changes) == ["clusters/prod/a.txt"]
    assert [(note.kind, note.path) for note in merged.notes if note.kind == "mode"] == [("mode", "clusters/prod/link")]


def test_a_file_that_becomes_a_directory_does_so_here() -> None:
    assert changes(trees({"a": "x"}, {"a/b": "y"}, {"a": "x"})) == {"a": None, "a/b": "y"}


class CountingTree(MemoryTree):
    """A tree with directory ids, as Git has them, that counts what is read."""

    def __init__(self, files: Mapping[str, bytes | str]) -> None:
        super().__init__(files)
        self.reads: list[str] = []
        self.all = dict(files)

    def entry(self, path: str) -> Entry | None:
        found = super().entry(path)
        if found is None or found.kind != "directory":
            return found
        below = sorted((name, text) for name, text in self.all.items() if name.startswith(f"{path}/"))
        return Entry(kind="directory", id=TreeId(blob_id(repr(below).encode())))

    def read(self, path: str) -> bytes:
        self.reads.append(path)
        return super().read(path)


def test_files_and_directories_that_the_source_did_not_change_are_not_read() -> None:
    files: dict[str, bytes | str] = {
        f"clusters/{env}/apps/{app}/c.yaml": config(app).encode() for env in ("dev", "prod") for app in "abc"
    }
    base = CountingTree(files)
    source = CountingTree(files | {"clusters/dev/apps/b/c.yaml": config("b", 2).encode()})
    merged = merge.trees(base, source, source, source_root="clusters/dev", target_root="clusters/prod")
    assert list(merged.changes) == ["clusters/prod/apps/b/c.yaml"]
    assert base.reads == ["clusters/dev/apps/b/c.yaml"]
    assert {path for path in source.reads if not path.endswith("/b/c.yaml")} == set()


def test_objects_of_the_same_name_in_two_namespaces_are_two_objects() -> None:
    one, other = (config("x").replace("name: x", f"name: x\n  namespace: {space}") for space in ("n1", "n2"))
    changed = one.replace("v: 1", "v: 2")
    merged = trees({"a.yaml": one, "b.yaml": other}, {"a.yaml": changed}, {"a.yaml": one + "  own: 1\n", "b.yaml": other})
    assert changes(merged) == {"a.yaml": changed + "  own: 1\n", "b.yaml": None}


def test_an_object_that_moves_is_found_in_the_target_s_own_namespace() -> None:
    here = config("x").replace("name: x", "name: x\n  namespace: staging")
    there = config("x").replace("name: x", "name: x\n  namespace: dev")
    merged = trees(
        {"a.yaml": there + "---\n" + config("y")},
        {"a.yaml": config("y"), "b.yaml": there.replace("v: 1", "v: 2")},
        {"a.yaml": here + "---\n" + config("y")},
    )
    assert changes(merged) == {"a.yaml": config("y"), "b.yaml": here.replace("v: 1", "v: 2")}


def test_a_deleted_file_takes_only_its_own_objects_from_the_target_s_file() -> None:
    merged = trees({"a.yaml": config("x")}, {}, {"a.yaml": config("o") + "---\n" + config("x")})
    assert changes(merged) == {"a.yaml": config("o")}
    asked = trees({"a.yaml": config("x")}, {}, {"a.yaml": config("o") + "---\n" + config("x", 2)})
    assert [(str(conflict), conflict.kind) for conflict in asked.conflicts] == [("#ConfigMap/x", "removed-upstream")]


def test_a_file_that_both_added_with_different_objects_of_a_kind_asks() -> None:
    deployment = "kind: Deployment\nmetadata: {name: web-%s}\nspec: {image: a, tty: %s}\n"
    merged = trees(None, {"a.yaml": deployment % ("dev", "true")}, {"a.yaml": deployment % ("staging", "false")})
    assert merged.conflicts
    assert merged.changes == {}


def test_a_file_that_both_added_with_unlike_objects_gets_them_all() -> None:
    merged = trees({}, {"a.yaml": config("x")}, {"a.yaml": config("o").replace("ConfigMap", "Thing")})
    assert changes(merged) == {"a.yaml": config("o").replace("ConfigMap", "Thing") + "---\n" + config("x")}
