"""Requests to a forge: what is tried again, what is not, and what an error tells."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.adapters import forge as forges
from penstock.adapters.forge import rest
from penstock.model.errors import RaceError, RefusedError, TransientError
from penstock.model.values import CommitId
from penstock.ports.forge import CommitStatus

PULLS = "GET /api/v1/repos/o/r/pulls"
STATUS = "POST /api/v1/repos/o/r/statuses/" + "a" * 40
GREEN = CommitStatus(context="c", state="success", description="")


def connect(scripted: Any, token: Any = "t0ken-t0ken") -> Any:
    return forges.connect("gitea", scripted.url, "o/r", token=token)


async def test_a_read_is_tried_again_when_the_forge_is_busy(scripted: Any) -> None:
    scripted.on(PULLS, (503, {"message": "later"}), (502, b"<html>bad gateway</html>"), [])
    async with connect(scripted) as forge:
        assert list(await forge.pulls()) == []
    assert len(scripted.asked) == 3


async def test_a_read_waits_as_long_as_the_forge_asks(scripted: Any) -> None:
    scripted.on(PULLS, (429, {}, {"Retry-After": "0"}), [])
    async with connect(scripted) as forge:
        assert list(await forge.pulls()) == []
    assert len(scripted.asked) == 2


async def test_a_wait_beyond_our_patience_is_handed_to_the_caller(scripted: Any) -> None:
    scripted.on(PULLS, (429, {"message": "slow down"}, {"Retry-After": "3600"}))
    async with connect(scripted) as forge:
        with pytest.raises(rest.BusyError) as busy:
            await forge.pulls()
    assert (busy.value.retry_after, busy.value.code, busy.value.status) == (3600.0, "RateLimited", 429)
    assert len(scripted.asked) == 1
    copied = pickle.loads(pickle.dumps(busy.value))
    assert (copied.what, copied.retry_after) == (busy.value.what, 3600.0)


async def test_a_write_is_never_repeated(scripted: Any) -> None:
    for answer in ((500, {}), (200, "DROP"), (429, {})):
        scripted.asked.clear()
        scripted.on(STATUS, answer)
        async with connect(scripted) as forge:
            with pytest.raises(TransientError):
                await forge.set_status(CommitId("a" * 40), GREEN)
        assert len(scripted.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (301, RefusedError, "Moved"),
        (302, RefusedError, "Moved"),
        (400, RefusedError, "Refused"),
        (401, RefusedError, "AuthenticationFailed"),
        (403, RefusedError, "Forbidden"),
        (404, RefusedError, "NotFound"),
        (405, RefusedError, "NotAllowed"),
        (409, RaceError, "Conflict"),
        (422, RefusedError, "Unprocessable"),
        (501, RefusedError, "Refused"),
        (500, TransientError, "ServerError"),
    ],
)
async def test_every_refusal_has_its_class(scripted: Any, status: int, kind: type[Exception], code: str) -> None:
    scripted.on(STATUS, (status, {"message": "because \x1b[31mred"}, {"Location": "http://127.0.0.1:9/x"}))
    async with connect(scripted) as forge:
        with pytest.raises(kind) as failed:
            await forge.set_status(CommitId("a" * 40), GREEN)
    assert failed.value.code == code  # type: ignore[attr-defined]
    assert "because red" in str(failed.value)
    assert "t0ken" not in str(failed.value)
    assert len(scripted.asked) == 1, "a redirect is not followed"


@pytest.mark.parametrize("body", [b"<html>proxy</html>", b"", b"{}", b'[{"number": "one"}]', b"[1]", b"\xff"])
async def test_an_answer_of_another_shape_is_refused(scripted: Any, body: bytes) -> None:
    scripted.on(PULLS, (200, body))
    async with connect(scripted) as forge:
        with pytest.raises(RefusedError) as refused:
            await forge.pulls()
    assert refused.value.code == "UnexpectedAnswer"


async def test_the_next_page_is_asked_of_the_same_server_only(scripted: Any) -> None:
    scripted.on("GET /api/v1/repos/o/r/labels", (200, [], {}))
    away = '<http://127.0.0.1:9/api/v1/repos/o/r/pulls?page=2>; rel="next", <http://127.0.0.1:9/x>; rel="last"'
    scripted.on(PULLS, (200, [], {"Link": away}), (200, [], {}))
    async with connect(scripted) as forge:
        assert list(await forge.pulls()) == []
    assert [query.get("page") for _, query, _ in scripted.asked] == [None, "2"]


async def test_a_list_without_end_ends(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_PAGES", 5)
    scripted.on(PULLS, (200, [], {"Link": f'<{scripted.url}/api/v1/repos/o/r/pulls?page=2>; rel="next"'}))
    async with connect(scripted) as forge:
        with pytest.raises(RefusedError) as refused:
            await forge.pulls()
    assert refused.value.code == "TooLarge"


async def test_a_token_may_be_renewed(scripted: Any) -> None:
    tokens = iter(["first", "second"])

    async def current() -> str:
        return next(tokens)

    scripted.on(PULLS, [])
    async with connect(scripted, current) as forge:
        await forge.pulls()
        await forge.pulls()
    assert [headers["Authorization"] for headers in scripted.headers] == ["token first", "token second"]


async def test_a_token_with_a_line_break_is_refused_and_not_shown(scripted: Any) -> None:
    async with connect(scripted, "s3cret\nX: y") as forge:
        with pytest.raises(RefusedError) as refused:
            await forge.pulls()
    assert "s3cret" not in str(refused.value)
    assert scripted.asked == []


@pytest.mark.parametrize("url", ["", "git.example.com", "ftp://x", "https://user:pw@host", "file:///x"])
async def test_a_url_that_is_not_a_forges_is_refused(url: str) -> None:
    for kind in ("gitea", "gitlab", "github"):
        with pytest.raises(RefusedError) as refused:
            async with forges.connect(kind, url, "o/r", token="t"):  # type: ignore[arg-type]
                pass
        assert "pw" not in str(refused.value)


def pull(number: int, updated: str, **changes: Any) -> dict[str, Any]:
    """A pull request of Gitea, as little of it as the adapter reads."""
    branch = {"ref": f"b-{number}", "sha": "a" * 40}
    return {
        "number": number, "title": f"t-{number}", "state": "closed", "html_url": "u",
        "head": branch, "base": branch | {"ref": "main"}, "created_at": updated, "updated_at": updated,
    } | changes  # fmt: skip


async def test_long_history_is_read_once_and_then_only_its_news(scripted: Any) -> None:
    old = [pull(number, f"2026-01-{number:02}T00:00:00Z") for number in range(28, 0, -1)]
    link = {"Link": f'<{scripted.url}/api/v1/repos/o/r/pulls?page=2>; rel="next"'}
    scripted.on(PULLS, (200, old[:14], link), (200, old[14:], {}))
    async with connect(scripted) as forge:
        assert [one.number for one in await forge.pulls(state="closed")] == list(range(28, 0, -1))
        assert len(scripted.asked) == 2

        scripted.asked.clear()
        scripted.on(PULLS, (200, old[:14], link), (200, [], {}))
        assert len(await forge.pulls(state="closed")) == 28
        assert len(scripted.asked) == 1, "nothing is new on the first page"

        scripted.asked.clear()
        changed = pull(3, "2026-02-01T00:00:00Z", title="reopened", state="open")
        scripted.on(PULLS, (200, [changed, *old[:13]], link), (200, [one for one in old[13:] if one["number"] != 3], {}))
        found = await forge.pulls(state="all")
        assert [one.title for one in found if one.number == 3] == ["reopened"]
        assert len(await forge.pulls(state="closed")) == 27
        assert len(found) == 28


async def test_what_changed_a_moment_ago_is_read_again(scripted: Any) -> None:
    fresh = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    scripted.on(PULLS, [pull(1, fresh)], [pull(1, fresh, title="changed within the same second")])
    async with connect(scripted) as forge:
        await forge.pulls(state="all")
        assert [one.title for one in await forge.pulls(state="all")] == ["changed within the same second"]
