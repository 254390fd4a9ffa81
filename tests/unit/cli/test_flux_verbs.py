"""The words of the verbs of one cluster, and what they print, without a cluster."""

from __future__ import annotations

import asyncio
import importlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from penstock import cli
from penstock.app import objects, tree
from penstock.cli import clusters, stats, suspend
from penstock.model import errors
from penstock.model.resource import ResourceId

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "kinds", "names"),
    [
        ("ks", ["Kustomization"], ()),
        ("kustomization dev web", ["Kustomization"], ("dev", "web")),
        ("Kustomizations", ["Kustomization"], ()),
        ("source git fleet", ["GitRepository"], ("fleet",)),
        ("sources oci", ["OCIRepository"], ()),
        ("gitrepository fleet", ["GitRepository"], ("fleet",)),
        ("sources all", ["GitRepository", "OCIRepository", "Bucket"], ()),
        ("all", ["GitRepository", "OCIRepository", "Bucket", "Kustomization"], ()),
    ],
)
def test_kinds_are_called_as_flux_calls_them(words: str, kinds: list[str], names: tuple[str, ...]) -> None:
    asked = objects.parse(words.split())
    assert [kind.kind for kind in asked.kinds] == kinds
    assert asked.names == names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("git fleet", "there is no kind 'git'"),
        ("source", "which kind of source?"),
        ("kustomizatoin dev", "did you mean kustomization?"),
        ("all dev", "'all' takes no names"),
        ("secret web", "there is no kind 'secret'"),
    ],
)
def test_what_is_no_kind_is_told_with_what_there_is(words: str, said: str) -> None:
    with pytest.raises(errors.InputError) as caught:
        objects.parse(words.split())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW + timedelta(hours=2)),
        ("2026-05-02T09:00Z", NOW + timedelta(days=1)),
        ("2026-05-02T09:00+02:00", NOW + timedelta(hours=22)),
        ("2026-05-02T09:00", NOW + timedelta(days=1)),
    ],
)
def test_until_is_a_duration_or_a_time(text: str, moment: datetime) -> None:
    assert suspend._moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["tomorrow", "2026-04-30T09:00Z", "0s"])
def test_until_refuses_what_is_no_time_to_come(text: str) -> None:
    with pytest.raises(click.UsageError):
        suspend._moment(text, NOW)


def test_a_suspension_that_should_have_ended_says_so() -> None:
    said = objects.Suspension(reason="load test", until="2026-05-01T09:00:00Z", by="dana")
    assert said.text(NOW - timedelta(seconds=1)) == "suspended by dana until 2026-05-01T09:00:00Z: load test"
    assert said.text(NOW) == "suspended by dana until 2026-05-01T09:00:00Z (over): load test"
    assert objects.Suspension(until="when Dana is back").text(NOW) == "suspended until when Dana is back"


@pytest.mark.parametrize("verb", ["get", "tree", "events", "stats", "export", "reconcile", "suspend", "resume"])
def test_the_reference_names_every_option(verb: str) -> None:
    command = importlib.import_module(f"penstock.cli.{verb}").command
    text = (Path(__file__).resolve().parents[3] / "docs/reference/flux-verbs.md").read_text()
    options = [name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts) if name[0] == "-"]
    assert len(options) > 5
    assert [name for name in options if f"`{name}" not in text and f"/{name}`" not in text] == []


def test_commits_are_cut_where_people_compare_them() -> None:
    commit, digest = "ab12cd34" + "0" * 32, "9f8e7d6c" + "1" * 56
    assert clusters.short(f"main@sha1:{commit} and sha256:{digest}, not {'a' * 50}") == (
        f"main@sha1:ab12cd34 and sha256:9f8e7d6c, not {'a' * 50}"
    )


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 1024**5, "3072.0 TiB")])
def test_sizes_are_read_by_people(count: int, text: str) -> None:
    assert stats._size(count) == text


def test_a_tree_is_drawn_with_lines_of_the_terminal() -> None:
    root, child, leaf = (ResourceId("", "ConfigMap", "ns", name) for name in ("root", "child", "leaf"))
    node = tree.Node(
        id=root,
        children=(
            tree.Node(id=child, children=(tree.Node(id=leaf),)),
            tree.Node(id=root, again=True),
        ),
    )
    assert list(tree.lines(node)) == [
        "ConfigMap/ns/root",
        "├── ConfigMap/ns/child",
        "│   └── ConfigMap/ns/leaf",
        "└── ConfigMap/ns/root (shown above)",
    ]
    assert list(tree.lines(node, ascii_only=True))[2] == "|   `-- ConfigMap/ns/leaf"


def test_an_export_keeps_what_somebody_wrote_and_nothing_else() -> None:
    manifest = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {
            "name": "dev",
            "namespace": "flux-system",
            "uid": "1",
            "managedFields": [{}],
            "finalizers": ["finalizers.fluxcd.io"],
            "labels": {"team": "shop"},
            "annotations": {
                "reconcile.fluxcd.io/requestedAt": "now",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "kept": "yes",
            },
        },
        "spec": {"path": "./"},
        "status": {"lastAppliedRevision": "x"},
    }
    assert objects.exported(manifest) == {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {
            "name": "dev",
            "namespace": "flux-system",
            "labels": {"team": "shop"},
            "annotations": {"kept": "yes"},
        },
        "spec": {"path": "./"},
    }


def test_failures_of_several_objects_are_all_told_after_all_were_tried() -> None:
    from penstock.app.reconcile import At

    seen = []

    async def work(at: At) -> None:
        seen.append(at.name)
        if at.name != "b":
            raise errors.invalid(f"{at.name} failed")

    places = [At(cluster=None, kind=objects.KUSTOMIZATION, namespace="ns", name=name) for name in "abc"]  # type: ignore[arg-type]
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(clusters.each(places, work))
    assert seen == ["a", "b", "c"]
    assert [str(error) for error in caught.value.exceptions] == ["a failed", "c failed"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("get", "ks", "--env", "dev", "--context", "x"), "--env names the cluster already"),
        (("get", "ks", "--fleet", "f.yaml"), "--env says which one"),
        (("get", "ks", "--status-selector", "ready=maybe"), "--status-selector takes"),
        (("reconcile", "ks", "dev", "--timeout", "soon"), "'soon' is not a duration"),
        (("reconcile", "ks", "dev", "--timeout", "0s"), "longer than nothing"),
        (("reconcile", "source", "git", "fleet", "--with-source"), "a source has none"),
        (("reconcile", "ks"), "Kustomization name is required"),
        (("events", "--types", "Loud"), "not 'Loud'"),
        (("tree", "source", "git", "fleet"), "one Kustomization has to be named"),
        (("export", "ks"), "either names or --all"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_before_any_cluster_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main(list(arguments)) == 2
    assert said in capsys.readouterr().err
