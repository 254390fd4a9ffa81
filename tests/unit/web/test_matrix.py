"""Every route, for every kind of person, in an environment of their own and in one that is somebody else's: one table.

The cells are generated from the route table and asserted one by one; what each cell has to be is said here once more, in other
words than the code's, so that neither can be wrong alone. A new route without an entry fails the first test.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import aiohttp
import pytest
import web_samples as samples
import web_served

from penstock.model.people import Grant, Person
from penstock.web import routing, serving

OWN, FOREIGN = "staging", "prod"
"""The tenant of the people below has dev and staging; prod is another's."""

Who = Literal["anonymous", "none", "viewer", "developer", "approver", "admin"]
PEOPLE: tuple[Who, ...] = ("anonymous", "none", "viewer", "developer", "approver", "admin")
TOKENS = {f"token-of-the-{who}-in-a-test": Person(login=f"token:{who}", groups=(f"group-{who}",)) for who in PEOPLE[1:]}
GRANTS = (
    Grant(role="viewer", environments=("dev", OWN), groups=("group-viewer",)),
    Grant(role="developer", environments=("dev", OWN), groups=("group-developer",)),
    Grant(role="approver", environments=("dev", OWN), users=("token:approver",)),
    Grant(role="admin", environments=("dev", OWN), groups=("group-admin",)),
)

Gets = Literal["let in", "refused", "not there", "sign in", "open"]
SINCE: dict[str, tuple[Who, ...]] = {
    "viewer": ("viewer", "developer", "approver", "admin"),
    "developer": ("developer", "approver", "admin"),
    "approver": ("approver", "admin"),
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a route needs: the least role, and a request to it in an environment."""

    needs: str
    path: str
    form: str = ""


TABLE: dict[tuple[str, str], Entry] = {
    ("GET", "/"): Entry(needs="any", path="/"),
    ("GET", "/app/{name}"): Entry(needs="app", path="/app/{app}"),
    ("POST", "/app/{name}/decide"): Entry(needs="developer", path="/app/{app}/decide", form="target={env}&stamp=x&choice a=take"),
    ("POST", "/app/{name}/rollback"): Entry(needs="developer", path="/app/{app}/rollback", form="target={env}&to=abc"),
    ("POST", "/app/{name}/hold"): Entry(needs="approver", path="/app/{app}/hold", form="target={env}&reason=why"),
    ("POST", "/app/{name}/release"): Entry(needs="approver", path="/app/{app}/release", form="target={env}"),
    ("GET", "/promotion/{name}"): Entry(needs="viewer", path="/promotion/14"),
    ("POST", "/promotion/{name}/approve"): Entry(needs="approver", path="/promotion/14/approve", form="login=x&head=x"),
    ("POST", "/promotion/{name}/ask"): Entry(needs="developer", path="/promotion/14/ask", form="login=x&head=x&comment=x"),
    ("POST", "/promotion/{name}/merge"): Entry(needs="approver", path="/promotion/14/merge", form="login=x&head=x"),
    ("POST", "/promotion/{name}/close"): Entry(needs="approver", path="/promotion/14/close", form="login=x&head=x&comment=x"),
    ("GET", "/environment/{name}"): Entry(needs="viewer", path="/environment/{env}"),
    ("POST", "/environment/{name}/rollback"): Entry(needs="developer", path="/environment/{env}/rollback", form="to=abc"),
    ("POST", "/environment/{name}/freeze"): Entry(needs="approver", path="/environment/{env}/freeze", form="reason=why"),
    ("POST", "/environment/{name}/thaw"): Entry(needs="approver", path="/environment/{env}/thaw"),
    ("GET", "/log/{name}"): Entry(needs="viewer", path="/log/{env}"),
    ("GET", "/events"): Entry(needs="viewer", path="/events?of=/environment/{env}"),
    ("GET", "/sessions"): Entry(needs="fleet", path="/sessions"),
    ("POST", "/sessions/end"): Entry(needs="fleet", path="/sessions/end", form="handle=x"),
    ("POST", "/sign-out"): Entry(needs="session", path="/sign-out"),
    ("GET", "/sign-in"): Entry(needs="nobody", path="/sign-in"),
    ("POST", "/sign-in"): Entry(needs="nobody", path="/sign-in"),
    ("GET", "/sign-in/start"): Entry(needs="nobody", path="/sign-in/start"),
    ("GET", "/sign-in/return"): Entry(needs="nobody", path="/sign-in/return"),
    ("GET", "/healthz"): Entry(needs="nobody", path="/healthz"),
    ("GET", "/-/{digest}/{name}"): Entry(needs="nobody", path="/-/x/style.css"),
}


def plain(path: str) -> str:
    return re.sub(r"\{(\w+):.*?\}(?=/|$)", r"{\1}", path)


def test_every_route_has_an_entry_here() -> None:
    assert {(route.method, plain(route.path)) for route in routing.ROUTES} == set(TABLE)


def expected(entry: Entry, who: Who, environment: str) -> Gets:
    if entry.needs == "nobody":
        return "open"
    if who == "anonymous":
        return "sign in"
    if entry.needs == "session":
        return "let in"
    if entry.needs == "fleet" or who == "none":
        return "not there"
    if entry.needs == "any":
        return "let in"
    if environment == FOREIGN:
        return "not there"
    return "let in" if who in SINCE[entry.needs if entry.needs != "app" else "viewer"] else "refused"


@pytest.fixture
async def page(facts: samples.Facts) -> AsyncIterator[serving.WebPage]:
    facts.granted = GRANTS
    async with web_served.serve(facts, token="", entrance=serving.Entrance(tokens=TOKENS)) as served:
        yield served


@pytest.mark.parametrize("route", TABLE, ids=" ".join)
async def test_every_cell_of_a_route(page: serving.WebPage, facts: samples.Facts, route: tuple[str, str]) -> None:
    entry, method = TABLE[route], route[0]
    wrong = []
    for who, environment in itertools.product(PEOPLE, (OWN, FOREIGN)):
        facts.promoted = samples.promotion(target=environment)
        app = "web" if environment == OWN else "theirs"
        only = tuple(step for step in samples.app("web").steps if step.environment == environment)
        facts.apps = {"web": samples.app("web"), "theirs": samples.app("theirs", steps=only)}
        page.poke()
        facts.done.clear()
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            csrf = await sign_in(session, page, who)
            form = entry.form.format(env=environment, app=app)
            data = {"csrf": csrf} | dict(pair.split("=") for pair in form.split("&") if pair)
            address = page.url + entry.path.format(env=environment, app=app)
            sent = data if method == "POST" else None
            async with session.request(method, address, data=sent, allow_redirects=False) as answer:
                streams = answer.content_type == "text/event-stream"
                text = "" if streams else await answer.text()
                status = answer.status
        gets, found = expected(entry, who, environment), told(status, text, entry)
        if found != gets:
            wrong.append(f"{who} in {environment}: {found} and not {gets} ({status})")
        if gets not in ("let in", "open") and facts.done:
            wrong.append(f"{who} in {environment}: refused, and done: {facts.done}")
        if gets not in ("let in", "open") and "checkout" in text:
            wrong.append(f"{who} in {environment}: refused, and told")
    assert wrong == []


def told(status: int, text: str, entry: Entry) -> Gets:
    """What an answer says, by its status and its words."""
    if entry.needs == "nobody":
        return "open"
    if status == 401:
        return "sign in"
    if status == 404:
        return "not there"
    if status == 403 and "that takes the role" in text:
        return "refused"
    assert status in (200, 303) or ("nobody of that name can act here" in text and status == 403), (status, text)
    return "let in"


async def sign_in(session: aiohttp.ClientSession, page: serving.WebPage, who: Who) -> str:
    """A session of this person's, and its form token."""
    if who == "anonymous":
        return ""
    token = next(token for token, person in TOKENS.items() if person.login == f"token:{who}")
    async with session.post(f"{page.url}/sign-in", data={"token": token}) as answer:
        found = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
    assert found is not None
    return found[1]


@pytest.mark.parametrize("who", PEOPLE[2:])
@pytest.mark.parametrize("path", ["/", "/app/web", "/environment/staging", "/log/dev", "/promotion/14"])
async def test_nothing_of_a_foreign_environment_is_on_any_page(
    page: serving.WebPage, facts: samples.Facts, who: Who, path: str
) -> None:
    board = samples.board()
    secret = "word-of-another-tenant"
    cells = tuple(
        samples.views.Cell(environment="prod", mark="live", words=secret) if cell.environment == "prod" else cell
        for cell in board.lines[0].cells
    )
    theirs = samples.views.Line(app=secret, cells=(samples.views.Cell(environment="prod", mark="live", words=secret),))
    facts.shown = samples.board(
        lines=(samples.views.Line(app="web", cells=cells), theirs),
        heads=(*board.heads[:2], samples.views.Head(name="prod", mark="live", words=secret)),
        pending=(samples.views.Pending(unit=secret, source="staging", target="prod", mark="moving", words=secret),),
        problems=(f"the cluster of prod does not answer: {secret}",),
        tip=samples.views.Commit(id="f" * 40, subject=secret, author=secret),
    )
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        await sign_in(session, page, who)
        async with session.get(page.url + path) as answer:
            text = await answer.text()
            assert answer.status == 200
        assert secret not in text
        assert "/environment/prod" not in text
        async with session.get(f"{page.url}/events", params={"of": path, "since": "x"}) as answer:
            stream = await answer.content.readuntil(b"\n\n") + await answer.content.readuntil(b"\n\n")
        assert secret.encode() not in stream


async def test_gone_and_forbidden_cannot_be_told_apart(page: serving.WebPage, facts: samples.Facts) -> None:
    facts.promoted = samples.promotion(target="prod")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        await sign_in(session, page, "viewer")
        for forbidden, gone in (
            ("/environment/prod", "/environment/nowhere"),
            ("/log/prod", "/log/nowhere"),
            ("/promotion/14", "/promotion/99"),
        ):
            answers = []
            for path in (forbidden, gone):
                async with session.get(page.url + path) as answer:
                    answers.append((answer.status, await answer.text()))
            assert answers[0] == answers[1]
            assert answers[0][0] == 404


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/environment/prod", "/log/prod", "/promotion/14", "/sessions"])
async def test_no_other_method_shows_what_is_anothers(
    page: serving.WebPage, facts: samples.Facts, method: str, path: str
) -> None:
    facts.promoted = samples.promotion(target="prod")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        await sign_in(session, page, "admin")
        async with session.request(method, page.url + path, allow_redirects=False) as answer:
            assert answer.status in (404, 405)
            assert "checkout" not in await answer.text()


@pytest.mark.parametrize(
    "path",
    ["/environment/prod/", "//environment/prod", "/Environment/prod", "/environment/PROD", "/environment/%70rod",
     "/environment/prod%00", "/environment/dev/../prod", "/environment/dev%2f..%2fprod", "/environment/prod;dev",
     "/environment/prod.json", "/environment/prod?x=dev", "/log/%70%72%6f%64"],
)  # fmt: skip
async def test_no_spelling_leads_to_what_is_anothers(page: serving.WebPage, path: str) -> None:
    import yarl

    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        await sign_in(session, page, "admin")
        async with session.get(yarl.URL(page.url + path, encoded=True), allow_redirects=False) as answer:
            assert answer.status == 404
            assert "checkout" not in await answer.text()


@pytest.mark.parametrize(
    "granted",
    [
        (),
        (Grant(role="admin", groups=("",)),),
        (Grant(role="admin", users=("",)),),
        (Grant(role="admin", users=("viewer",)),),
        (Grant(role="admin", environments=("",), groups=("group-viewer",)),),
        (Grant(role="admin", environments=("nowhere",), groups=("group-viewer",)),),
    ],
)
async def test_whoever_no_grant_means_sees_nothing(
    page: serving.WebPage, facts: samples.Facts, granted: tuple[Grant, ...]
) -> None:
    facts.granted = granted
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        await sign_in(session, page, "viewer")
        for path in ("/", "/app/web", "/environment/dev", "/log/dev", "/promotion/14", "/sessions"):
            async with session.get(page.url + path) as answer:
                assert answer.status == 404
                assert "checkout" not in await answer.text()
