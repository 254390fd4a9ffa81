"""The store: revisions, the change log, old lists, and what survives."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.sandbox.cluster import store
from penstock.sandbox.cluster.store import Change, CompactedError, Store


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the one database of a test, again and again if asked, and closes it at the end."""
    stores: list[Store] = []

    def open_store() -> Store:
        stores.append(Store(tmp_path / "db"))
        return stores[-1]

    yield open_store
    for database in stores:
        database.close()


def thing(name: str, value: int = 0, namespace: str = "ns") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "value": value}


def names(items: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(item["metadata"]["name"], item["value"]) for item in items]


def test_each_write_has_a_revision_of_its_own_and_is_told_once(opened: Callable[[], Store]) -> None:
    database = opened()
    heard: list[Change] = []
    stop = database.listen(heard.append)
    first = database.put("things", thing("a"))
    second = database.put("things", thing("a", 1))
    gone = database.delete("things", "ns", "a")
    stop()
    database.put("things", thing("b"))
    assert gone is not None
    versions = [int(m["metadata"]["resourceVersion"]) for m in (first, second, gone)]
    assert versions == [change.revision for change in heard] == sorted(set(versions))
    assert [change.kind for change in heard] == ["ADDED", "MODIFIED", "DELETED"]
    assert heard[1].previous == first
    assert database.delete("things", "ns", "a") is None


def test_lists_are_ordered_and_keep_to_their_namespace(opened: Callable[[], Store]) -> None:
    database = opened()
    for name, namespace in (("b", "ns"), ("a", "ns"), ("a", "ns-2"), ("z", "n"), ("c", "")):
        database.put("things", thing(name, namespace=namespace))
    assert [m["metadata"]["name"] for m in database.objects("things", "ns")] == ["a", "b"]
    places = [(m["metadata"]["namespace"], m["metadata"]["name"]) for m in database.objects("things")]
    assert places == [("", "c"), ("n", "z"), ("ns", "a"), ("ns", "b"), ("ns-2", "a")]


def test_every_revision_can_be_listed_again(opened: Callable[[], Store]) -> None:
    database = opened()
    seen = {}
    for step in range(30):
        name = "abc"[step % 3]
        if step % 5 == 4:
            database.delete("things", "ns", name)
        else:
            database.put("things", thing(name, step))
        seen[database.revision] = names(database.objects("things"))
    for revision, expected in seen.items():
        assert names(database.objects_at("things", "", revision)) == expected


def test_a_log_that_was_cut_says_so(opened: Callable[[], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOG_LENGTH", 10)
    database = opened()
    for value in range(40):
        database.put("things", thing("a", value))
    with pytest.raises(CompactedError):
        database.since(1)
    assert len(database.since(database.revision - 5)) == 5
    database.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "db")) as raw:
        assert raw.execute("SELECT count(*) FROM changes").fetchone()[0] <= 12


def test_a_restart_finds_objects_revision_and_log(opened: Callable[[], Store]) -> None:
    database = opened()
    database.put("things", thing("a", 1))
    start = database.revision
    database.put("things", thing("b", 2))
    database.delete("things", "ns", "a")
    before = database.revision
    database.close()
    again = opened()
    assert names(again.objects("things")) == [("b", 2)]
    assert again.revision == before
    assert [(change.kind, change.name) for change in again.since(start)] == [("ADDED", "b"), ("DELETED", "a")]


async def test_writes_of_one_turn_reach_the_disk_together_and_only_then_are_told(
    opened: Callable[[], Store], tmp_path: Path
) -> None:
    database = opened()
    heard: list[Change] = []
    database.listen(heard.append)
    for name in "abc":
        database.put("things", thing(name))
    other = sqlite3.connect(tmp_path / "db")
    assert heard == []
    assert other.execute("SELECT count(*) FROM objects").fetchone() == (0,)
    await database.durable()
    assert other.execute("SELECT count(*) FROM objects").fetchone() == (3,)
    assert [change.name for change in heard] == ["a", "b", "c"]
    other.close()


def test_a_batch_that_fails_keeps_what_was_written_before_it(opened: Callable[[], Store]) -> None:
    database = opened()

    def fail() -> None:
        with database.batch():
            database.put("things", thing("a"))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        fail()
    database.close()
    assert names(opened().objects("things")) == [("a", 0)]
