"""Watches, asked of each backend in turn."""

from __future__ import annotations

import pytest
from cluster_clients import MERGE, Client

CMS = "/api/v1/namespaces/{ns}/configmaps"


async def make(api: Client, name: str, **labels: str) -> str:
    """A config map; its resource version."""
    body = await api.ok("POST", CMS, {"metadata": {"name": name, "labels": labels}})
    return str(body["metadata"]["resourceVersion"])


async def test_a_watch_tells_every_change_after_its_revision_in_order(api: Client) -> None:
    await make(api, "before")
    start = (await api.ok("GET", CMS))["metadata"]["resourceVersion"]
    async with api.watch(CMS, resourceVersion=start) as watch:
        await make(api, "a")
        await api.ok("PATCH", f"{CMS}/a", {"data": {"k": "v"}}, MERGE)
        await api.ok("PATCH", f"{CMS}/a", {"data": {"k": "v"}}, MERGE)
        await api.ok("DELETE", f"{CMS}/a")
        events = [await watch.next() for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert {event["object"]["kind"] for event in events} == {"ConfigMap"}
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions)), "a deletion has a revision of its own"
    assert events[2]["object"]["data"] == {"k": "v"}


async def test_a_watch_replays_what_it_missed(api: Client) -> None:
    start = await make(api, "a")
    await make(api, "b")
    await api.ok("DELETE", f"{CMS}/a")
    async with api.watch(CMS, resourceVersion=start) as watch:
        events = [await watch.next() for _ in range(2)]
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in events] == [("ADDED", "b"), ("DELETED", "a")]


async def test_a_watch_without_revision_begins_with_what_is_there(api: Client) -> None:
    await make(api, "a")
    await make(api, "b")
    async with api.watch(CMS) as watch:
        events = [await watch.next() for _ in range(2)]
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in events] == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_streaming_list_ends_with_a_marked_bookmark(api: Client) -> None:
    await make(api, "a")
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with api.watch(CMS, **query) as watch:
        first, second = await watch.next(), await watch.next()
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
    assert second["type"] == "BOOKMARK"
    assert second["object"]["kind"] == "ConfigMap"
    assert second["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_an_object_enters_and_leaves_a_selection(api: Client) -> None:
    start = await make(api, "a", tier="1")
    async with api.watch(CMS, resourceVersion=start, labelSelector="tier=2") as watch:
        await api.ok("PATCH", f"{CMS}/a", {"metadata": {"labels": {"tier": "2"}}}, MERGE)
        await api.ok("PATCH", f"{CMS}/a", {"data": {"x": "y"}}, MERGE)
        left = await api.ok("PATCH", f"{CMS}/a", {"metadata": {"labels": {"tier": "3"}}}, MERGE)
        events = [await watch.next() for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[2]["object"]["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]


async def test_one_object_can_be_watched_by_its_name(api: Client) -> None:
    start = await make(api, "a")
    async with api.watch(CMS, resourceVersion=start, fieldSelector="metadata.name=b") as watch:
        await make(api, "c")
        await make(api, "b")
        event = await watch.next()
    assert event["object"]["metadata"]["name"] == "b"


async def test_metadata_alone_can_be_watched(api: Client) -> None:
    start = await make(api, "a")
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    async with api.watch(CMS, accept, resourceVersion=start) as watch:
        await make(api, "b", x="y")
        event = await watch.next()
    assert event["object"]["kind"] == "PartialObjectMetadata"
    assert event["object"]["apiVersion"] == "meta.k8s.io/v1"
    assert event["object"]["metadata"]["labels"] == {"x": "y"}
    assert set(event["object"]) == {"kind", "apiVersion", "metadata"}


async def test_a_watch_ends_when_its_time_is_over(api: Client) -> None:
    start = await make(api, "a")
    async with api.watch(CMS, resourceVersion=start, timeoutSeconds="1") as watch:
        assert await watch.ended()


@pytest.mark.parametrize("version", ["nonsense", "-1"])
async def test_a_revision_that_is_none_is_refused(api: Client, version: str) -> None:
    answer = await api.call("GET", CMS, watch="true", resourceVersion=version)
    assert answer.status == 500
    assert (
        answer.message == f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
    )


async def test_a_revision_from_the_future_is_refused_after_a_wait(api: Client) -> None:
    now = int((await api.ok("GET", CMS))["metadata"]["resourceVersion"])
    answer = await api.call("GET", CMS, resourceVersion=str(now + 100_000), resourceVersionMatch="NotOlderThan")
    assert answer.status == 504
    assert answer.body["reason"] == "Timeout"
    assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_table_events_carry_their_columns_once(api: Client) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    start = await make(api, "a")
    async with api.watch(CMS, accept, resourceVersion=start) as watch:
        await make(api, "b")
        await make(api, "c")
        first, second = await watch.next(), await watch.next()
    assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert not second["object"].get("columnDefinitions")
    assert second["object"]["rows"][0]["cells"][0] == "c"
