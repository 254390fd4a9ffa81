"""Selectors, patches, protobuf, durations, certificates and image names."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock.sandbox.cluster import certificates, patching, protobuf, schema, selectors, tables
from penstock.sandbox.cluster.controllers import pods
from penstock.sandbox.cluster.status import ApiError

POD = schema.parse("core.v1.PodSpec")


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ("a=b", {"a": "b"}, True),
        ("a=b", {}, False),
        ("a!=b", {}, True),
        ("a in (b, c)", {"a": "c"}, True),
        ("a notin (b)", {"a": "b"}, False),
        ("a notin (b)", {}, True),
        ("a,!b", {"a": ""}, True),
        ("a,!b", {"a": "", "b": ""}, False),
        ("a in (b,c),d=e", {"a": "b", "d": "e"}, True),
        ("n>3", {"n": "4"}, True),
        ("n<3", {"n": "x"}, False),
        ("", {}, True),
    ],
)
def test_label_selectors(selector: str, labels: dict[str, str], matches: bool) -> None:
    assert selectors.labels(selector)({"metadata": {"labels": labels}}) is matches


@pytest.mark.parametrize("text", ["=a", "a=b=c", "a in b", "a in (b", "(a)"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ApiError):
        selectors.labels(text)


def test_a_selector_object_that_is_absent_matches_nothing_and_an_empty_one_everything() -> None:
    assert not selectors.label_query(None)({"metadata": {}})
    assert selectors.label_query({})({"metadata": {}})
    both = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]}
    assert selectors.label_query(both)({"metadata": {"labels": {"a": "b"}}})
    assert not selectors.label_query(both)({"metadata": {"labels": {"a": "b", "c": ""}}})


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3], "b/c": {}}),
        ([{"op": "add", "path": "/a/0", "value": 0}], {"a": [0, 1, 2], "b/c": {}}),
        ([{"op": "remove", "path": "/a/0"}], {"a": [2], "b/c": {}}),
        ([{"op": "replace", "path": "/b~1c", "value": 1}], {"a": [1, 2], "b/c": 1}),
        ([{"op": "move", "from": "/a", "path": "/b~1c/d"}], {"b/c": {"d": [1, 2]}}),
        ([{"op": "copy", "from": "/a/1", "path": "/e"}], {"a": [1, 2], "b/c": {}, "e": 2}),
        ([{"op": "test", "path": "/a", "value": [1, 2]}], {"a": [1, 2], "b/c": {}}),
    ],
)
def test_json_patches(operations: list[dict[str, Any]], result: Any) -> None:
    document: dict[str, Any] = {"a": [1, 2], "b/c": {}}
    assert patching.json_patch(document, operations) == result
    assert document == {"a": [1, 2], "b/c": {}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/x"},
        {"op": "replace", "path": "/x", "value": 1},
        {"op": "test", "path": "/a", "value": [True, 2]},
        {"op": "add", "path": "/a/9", "value": 1},
        {"op": "add", "path": "a", "value": 1},
        {"op": "add", "path": "/x/y", "value": 1},
        {"op": "dance", "path": "/a"},
    ],
)
def test_a_json_patch_that_does_not_apply_is_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(ApiError):
        patching.json_patch({"a": [1, 2]}, [{"op": "add", "path": "/b", "value": 1}, operation])


def test_a_merge_patch_removes_with_null() -> None:
    assert patching.merge_patch({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": None}, "d": [2]}) == {"a": {"c": 2}, "d": [2]}


def test_a_strategic_patch_merges_deletes_and_replaces_by_key() -> None:
    live = {"containers": [{"name": "a", "image": "x"}, {"name": "b"}], "volumes": [{"name": "v", "emptyDir": {}}]}
    patch = {
        "containers": [{"name": "a", "env": [{"name": "A"}]}, {"name": "b", "$patch": "delete"}],
        "volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}],
    }
    assert patching.strategic_patch(POD, live, patch) == {
        "containers": [{"name": "a", "image": "x", "env": [{"name": "A"}]}],
        "volumes": [{"name": "v", "secret": {"secretName": "s"}}],
    }
    replaced = patching.strategic_patch(POD, live, {"containers": [{"$patch": "replace"}, {"name": "c"}]})
    assert replaced["containers"] == [{"name": "c"}]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"k8s\x00\x0a\xff", b"k8s\x00\x12\x02\x0a", b"k8s\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
)
def test_bytes_that_are_no_protobuf_are_refused(body: bytes) -> None:
    with pytest.raises(protobuf.MalformedError):
        protobuf.decode(body, schema.builtin_node("", "v1", "ConfigMap"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (200, "3m20s"),
        (600, "10m"),
        (10800, "3h"),
        (11100, "3h5m"),
        (86400, "24h"),
        (180000, "2d2h"),
        (86400 * 30, "30d"),
        (86400 * 800, "2y70d"),
    ],
)
def test_ages_read_as_kubectl_writes_them(seconds: int, text: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert tables.age((now - timedelta(seconds=seconds)).isoformat(), now) == text


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.size", [3]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[*].type", ["Ready", "Synced"]),
        (".status.conditions[1].type", ["Synced"]),
        (".metadata.labels['a.b/c']", ["x"]),
        (r".metadata.labels.a\.b/c", []),
        (".nothing.here", []),
    ],
)
def test_printer_column_paths(path: str, found: list[Any]) -> None:
    manifest = {
        "metadata": {"labels": {"a.b/c": "x"}},
        "spec": {"size": 3},
        "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced"}]},
    }
    assert tables.json_path(path)(manifest) == found


@pytest.mark.parametrize(
    ("image", "broken"),
    [
        ("web:1", False),
        ("web:broken", True),
        ("a/b:missing", True),
        ("broken.example/a:1", True),
        ("broken.example:5000/a", True),
        ("host:5000/broken/web:1", False),
        ("web:brokenish", False),
    ],
)
def test_an_image_says_itself_that_it_is_broken(image: str, broken: bool) -> None:
    assert pods.is_broken(image) is broken


def test_certificates_are_kept_until_they_end_and_make_a_chain(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    first = certificates.ensure(tmp_path, now)
    before = first.certificate.read_bytes()
    certificates.ensure(tmp_path, now + timedelta(days=300))
    assert first.certificate.read_bytes() == before
    assert first.key.stat().st_mode & 0o777 == 0o600
    ssl.create_default_context(cafile=str(first.ca))
    certificates.ensure(tmp_path, now + timedelta(days=3650))
    assert first.certificate.read_bytes() != before
    first.key.unlink()
    broken = first.certificate.read_bytes()
    certificates.ensure(tmp_path, now)
    assert first.certificate.read_bytes() != broken
