"""What a person decides counts once, for what was looked at, while they may; a refusal says why and changes nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import aiohttp
import pytest
import web_samples as samples
import web_served

from penstock.model.people import Grant, Person
from penstock.model.values import CommitId
from penstock.ports.forge import Forge, PullRequest, Review
from penstock.web import serving

TOKEN = "the-token-of-an-approver-in-a-test"
APPROVER = Person(login="mia", name="Mia Approver", email="mia@shop.example", own=("admin",))


@dataclass(kw_only=True)
class OneForge:
    """A forge with one pull request, slow enough for two to meet in it."""

    pull_: PullRequest
    reviews_: list[Review] = field(default_factory=list)
    comments_: list[str] = field(default_factory=list)
    merges: int = 0

    async def pull(self, number: int) -> PullRequest:
        await asyncio.sleep(0)
        return self.pull_

    async def reviews(self, number: int) -> list[Review]:
        await asyncio.sleep(0)
        return list(self.reviews_)

    async def review(self, number: int, *, state: Any, commit: CommitId, body: str = "") -> None:
        await asyncio.sleep(0)
        self.reviews_.append(Review(user="mia", state=state, commit=commit, when=samples.NOW, body=body))

    async def merge_pull(self, number: int, *, sha: CommitId, method: str, title: str, message: str) -> CommitId:
        await asyncio.sleep(0)
        self.merges += 1
        self.pull_ = replace(self.pull_, state="merged")
        return sha

    async def comment(self, number: int, body: str) -> None:
        self.comments_.append(body)

    async def update_pull(self, number: int, **changes: Any) -> PullRequest:
        self.pull_ = replace(self.pull_, **changes)
        return self.pull_


@dataclass(kw_only=True)
class Desk:
    """Somebody signed in, with the pull request before them."""

    page: serving.WebPage
    facts: samples.Facts
    forge: OneForge
    session: aiohttp.ClientSession
    csrf: str

    async def press(self, action: str, **changes: str) -> tuple[int, str]:
        data = {"csrf": self.csrf, "login": "mia", "head": samples.SHA, "comment": ""} | changes
        async with self.session.post(f"{self.page.url}/promotion/14/{action}", data=data, allow_redirects=False) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    pull = PullRequest(
        number=14,
        title="Promote web",
        body="",
        state="open",
        draft=False,
        author="penstock",
        head="penstock/promote/staging/web",
        head_sha=CommitId(samples.SHA),
        base="main",
        base_sha=CommitId(samples.OLD),
        url="",
        created=samples.NOW,
        updated=samples.NOW,
    )
    forge, facts = OneForge(pull_=pull), samples.Facts()
    entrance = serving.Entrance(tokens={TOKEN: APPROVER})
    async with (
        web_served.serve(facts, token="", entrance=entrance, forges={"mia": cast("Forge", forge)}) as page,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        async with session.post(f"{page.url}/sign-in", data={"token": TOKEN}) as answer:
            found = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
        assert found is not None
        yield Desk(page=page, facts=facts, forge=forge, session=session, csrf=found[1])


async def test_an_approval_is_recorded_as_that_person_at_that_commit(desk: Desk) -> None:
    assert (await desk.press("approve"))[0] == 303
    assert [(one.user, one.state, one.commit) for one in desk.forge.reviews_] == [("mia", "approved", samples.SHA)]


@pytest.mark.parametrize(
    ("action", "form", "pull", "promoted", "status", "says"),
    [
        ("approve", {"head": samples.OLD}, {}, {}, 409, "changed while you looked"),
        ("approve", {"head": ""}, {}, {}, 409, "changed while you looked"),
        ("approve", {}, {"state": "merged"}, {}, 409, "is merged already"),
        ("approve", {}, {"state": "closed"}, {}, 409, "is closed already"),
        ("approve", {}, {"author": "mia"}, {}, 403, "mia opened #14"),
        ("approve", {"login": "eve"}, {}, {}, 403, "nobody of that name"),
        ("approve", {"login": ""}, {}, {}, 403, "nobody of that name"),
        ("approve", {}, {}, {"authors": (("Mia", ""),)}, 403, "you wrote some of this change"),
        ("approve", {}, {}, {"asked_by": "Mia"}, 403, "you asked for this rollback"),
        ("ask", {}, {}, {}, 400, "say which changes"),
        ("close", {}, {}, {}, 400, "say why it is rejected"),
        ("merge", {}, {}, {"by_hand": True, "not_ready": "soak 11 min of 30 min"}, 409, "soak 11 min of 30 min"),
        ("merge", {}, {"draft": True}, {"by_hand": True}, 409, "is a draft"),
        ("merge", {}, {}, {"by_hand": True, "head": samples.OLD}, 409, "changed while you looked"),
    ],
)
async def test_what_must_not_be_decided_is_refused_with_the_reason(
    desk: Desk, action: str, form: dict[str, str], pull: dict[str, Any], promoted: dict[str, Any], status: int, says: str
) -> None:
    desk.forge.pull_ = replace(desk.forge.pull_, **pull)
    desk.facts.promoted = samples.promotion(**promoted)
    desk.page.poke()
    found, text = await desk.press(action, **form)
    assert (found, says in text) == (status, True), text[-800:]
    assert (desk.forge.reviews_, desk.forge.merges, desk.forge.comments_) == ([], 0, [])


async def test_the_same_decision_twice_is_one(desk: Desk) -> None:
    assert (await desk.press("approve"))[0] == 303
    status, text = await desk.press("approve")
    assert (status, "decided so already" in text) == (409, True)
    assert len(desk.forge.reviews_) == 1


@pytest.mark.parametrize("action", ["approve", "merge", "close"])
async def test_of_two_who_press_at_once_one_is_first_and_the_other_is_told(desk: Desk, action: str) -> None:
    desk.facts.promoted = samples.promotion(by_hand=True)
    desk.page.poke()
    answers = await asyncio.gather(*(desk.press(action, comment="no") for _ in range(5)))
    assert sorted(status for status, _ in answers) == [303, 409, 409, 409, 409]
    assert (len(desk.forge.reviews_), desk.forge.merges, len(desk.forge.comments_)) in ((1, 0, 0), (0, 1, 0), (0, 0, 1))


async def test_a_number_of_somebody_elses_pull_request_decides_nothing(desk: Desk) -> None:
    for number in ("15", "014", "14x", "-1", "9" * 30):
        data = {"csrf": desk.csrf, "login": "mia", "head": samples.SHA}
        async with desk.session.post(f"{desk.page.url}/promotion/{number}/approve", data=data) as answer:
            assert answer.status == 404
    assert desk.forge.reviews_ == []


async def stream_ends(desk: Desk, act: Any) -> str:
    """The last event of an open stream after something was done, which has to come within 5 seconds."""
    async with desk.session.get(f"{desk.page.url}/events", params={"of": "/promotion/14", "since": "x"}) as answer:
        await answer.content.readuntil(b"\n\n")
        await answer.content.readuntil(b"\n\n")
        await act()
        async with asyncio.timeout(5):
            rest = await answer.content.read()
    events = re.findall(r"event: (\w+)", rest.decode())
    return str(events[-1]) if events else ""


async def test_a_session_that_an_admin_ends_closes_its_streams_at_once(desk: Desk) -> None:
    async with desk.session.get(f"{desk.page.url}/sessions") as answer:
        found = re.search(r'name="handle" value="([^"]+)"', await answer.text())
    assert found is not None

    async def end() -> None:
        data = {"csrf": desk.csrf, "handle": found[1]}
        async with desk.session.post(f"{desk.page.url}/sessions/end", data=data, allow_redirects=False) as answer:
            assert answer.status == 303

    assert await stream_ends(desk, end) == "bye"
    assert (await desk.press("approve"))[0] == 401
    assert desk.forge.reviews_ == []


async def test_whoever_may_no_longer_look_is_sent_away_from_what_is_open_and_decides_nothing() -> None:
    facts = samples.Facts()
    facts.granted = (Grant(role="approver", users=("token:mia",)),)
    entrance = serving.Entrance(tokens={TOKEN: Person(login="token:mia")})
    async with (
        web_served.serve(facts, token="", entrance=entrance) as page,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        async with session.post(f"{page.url}/sign-in", data={"token": TOKEN}) as answer:
            found = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
        assert found is not None
        desk = Desk(page=page, facts=facts, forge=cast("OneForge", None), session=session, csrf=found[1])

        async def take_away() -> None:
            facts.granted = ()

        assert await stream_ends(desk, take_away) == "again"
        assert (await desk.press("approve"))[0] == 404
        async with session.get(f"{page.url}/events", params={"of": "/promotion/14"}) as answer:
            assert answer.status == 404


async def test_another_site_can_neither_read_a_stream_nor_keep_one_open(desk: Desk) -> None:
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    # A foreign page has no cookie to send (SameSite=Strict), and is given nothing to read by.
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.get(f"{desk.page.url}/events", params={"of": "/"}, headers=headers) as answer,
    ):
        assert answer.status == 401
    async with desk.session.get(f"{desk.page.url}/events", params={"of": "/"}, headers=headers) as answer:
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "name",
    ["../sessions.py", "..%2fsessions.py", "%2e%2e/sessions.py", "style.css/../../serving.py", "style.css%00.py", "base.html",
     "/etc/passwd", "%2fetc%2fpasswd", "STYLE.CSS", "style.css%2f"],
)  # fmt: skip
async def test_no_file_but_those_of_the_page_can_be_fetched(desk: Desk, name: str) -> None:
    import yarl

    async with desk.session.get(yarl.URL(f"{desk.page.url}/-/x/{name}", encoded=True), allow_redirects=False) as answer:
        assert answer.status == 404
        assert "import" not in await answer.text()
