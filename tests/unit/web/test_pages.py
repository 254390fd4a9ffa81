"""Pages say what is true, what is not known, and no for what is not there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest
import web_samples as samples
import web_served
from web_served import Served

from penstock.model.errors import TransientError
from penstock.web import serving, views

PAGES = ["/", "/app/web", "/promotion/14", "/environment/dev", "/log/dev"]
EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script>\u202e{{7*7}}'


async def text_of(served: Served, path: str, status: int = 200) -> str:
    session = await served.signed_in()
    async with session.get(served.url + path) as answer:
        assert answer.status == status
        return await answer.text()


async def test_the_board_says_what_the_facts_say(served: Served) -> None:
    words = " ".join(re.sub(r"<[^>]+>", " ", await text_of(served, "/")).split())
    assert "main @ 4be1c02 raise checkout timeout ( web-dev , 12 min ago)" in words
    assert "4be1c02 healthy 11 min" in words
    assert "PR #14 open" in words
    assert "soak 11 min of 30 min , in 19 min" in words
    assert "Job/cron/report: ImagePullBackOff clusters/dev/apps/cron/job.yaml:14" in words
    assert "#13 Promote api: staging → prod (new pricing) every gate is green" in words


@pytest.mark.parametrize("path", ["/app/gone", "/promotion/99", "/nowhere", "/promotion/0", "/app/", "/environment/a/b"])
async def test_what_is_not_there_is_a_page_that_says_so(served: Served, path: str) -> None:
    assert "<h1>Not" in await text_of(served, path, 404)


async def test_who_does_not_answer_makes_things_unknown_and_no_page_fail(served: Served) -> None:
    served.facts.shown = TransientError("the forge does not answer")
    text = await text_of(served, "/")
    assert "the forge does not answer" in text
    assert text.count("not known yet") == 3


async def test_what_was_known_stays_with_its_age_when_nobody_answers(served: Served) -> None:
    session = await served.signed_in()
    served.facts.shown = TransientError("the forge does not answer")
    served.clock.ahead = 5
    async with session.get(served.url) as answer:
        text = await answer.text()
    assert "the forge does not answer" in text
    assert "What stands here was true" in text
    assert "raise checkout timeout" in text


class Nodes(HTMLParser):
    """Every element of a page, with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def hostile(value: Any) -> Any:
    """The same facts with every text a person may have written made hostile."""
    import dataclasses
    from datetime import datetime

    if isinstance(value, tuple):
        return tuple(hostile(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = {"mark", "state", "number", "same"}
        changed = {one.name: hostile(getattr(value, one.name)) for one in dataclasses.fields(value) if one.name not in kept}
        return dataclasses.replace(value, **changed)
    if isinstance(value, str) and not isinstance(value, datetime):
        return f"{value}{EVIL}"
    return value


@pytest.mark.parametrize("path", PAGES)
async def test_hostile_texts_are_only_texts(served: Served, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served.facts.shown = hostile(samples.board())
    served.facts.promoted = hostile(samples.promotion(url="javascript:alert(1)"))
    for name in ("app", "environment", "log"):
        made = getattr(samples, name)
        monkeypatch.setattr(samples, name, lambda given, made=made: hostile(made(given)))
    if path.startswith("/app"):
        import urllib.parse

        path = f"/app/{urllib.parse.quote('web' + EVIL, safe='')}"
    text = await text_of(served, path)
    assert "onerror" in text, "the hostile texts are shown at all"
    nodes = Nodes(text).found
    assert [attributes for tag, attributes in nodes if tag == "script"] == [
        {"src": next(a["src"] for tag, a in nodes if tag == "script"), "defer": None}
    ]
    assert not [tag for tag, _ in nodes if tag in ("img", "iframe", "object", "embed", "style", "base")]
    assert not [name for _, attributes in nodes for name in attributes if name.startswith("on") or name == "style"]
    addresses = [a.get(name) or "" for _, a in nodes for name in ("href", "src", "action") if name in a]
    assert all(address.startswith(("/", "#")) for address in addresses), addresses
    assert "\u202e" not in re.sub(r'(data-key|value|name)="[^"]*"', "", text)
    assert "49" not in re.sub(r"<[^>]*>", "", text), "what looks like a template was run as one"


async def test_only_web_addresses_become_links(served: Served) -> None:
    for url in ("javascript:alert(1)", "data:text/html,x", "vbscript:x", "java\tscript:x", " javascript:x", "//evil.example"):
        served.facts.promoted = samples.promotion(url=url)
        served.clock.ahead += 5
        assert "on the forge</a>" not in await text_of(served, "/promotion/14")
    served.facts.promoted = samples.promotion(url="https://git.example/pulls/14")
    served.clock.ahead += 5
    assert 'href="https://git.example/pulls/14"' in await text_of(served, "/promotion/14")


def many(count: int, environments: int) -> views.Board:
    cells = samples.board().lines[0].cells
    names = [f"env{number}" for number in range(environments)]
    lines = tuple(
        views.Line(
            app=f"app-{number:04}",
            cells=tuple(
                views.Cell(
                    environment=name,
                    mark=cells[index % 3].mark,
                    words=cells[index % 3].words,
                    commit=cells[index % 3].commit,
                    since=cells[index % 3].since,
                    waits=cells[index % 3].waits,
                )
                for index, name in enumerate(names)
            ),
        )
        for number in range(count)
    )
    heads = tuple(views.Head(name=name, mark="live", words="ready") for name in names)
    return samples.board(lines=lines, heads=heads)


async def test_a_board_of_500_apps_and_5_environments_comes_in_pages(served: Served) -> None:
    served.facts.shown = many(500, 5)
    text = await text_of(served, "/")
    assert text.count("<tr ") == 101
    assert "apps <b>500</b>" in text


async def test_10_000_apps_come_in_pages_of_one_size(served: Served) -> None:
    served.facts.shown = many(10_000, 3)
    first = await text_of(served, "/")
    assert 'data-name="app-0099"' in first
    assert 'data-name="app-0100"' not in first
    last = await text_of(served, "/?page=100")
    assert last.count("data-name=") == 100
    assert 'aria-current="page">100</a>' in last
    assert last.count('<a href="/?page=') < 12
    found = await text_of(served, "/?q=app-9999")
    assert found.count("data-name=") == 1
    assert len(first) < 600_000


async def test_a_diff_of_100_000_lines_comes_in_pages_and_pieces(served: Served) -> None:
    rows = tuple(
        views.FieldRow(object=f"ConfigMap/{n // 100}", field=f"data.k{n}", source="1", before="0", after="1", state="promoted")
        for n in range(10_000)
    )
    lines = [f"line {number}" for number in range(100_000)]
    changed = [*lines[:50_000], "another line", *lines[50_001:]]
    text = views.FieldRow(
        object="ConfigMap/big", field="data.big", source="", before="\n".join(lines), after="\n".join(changed), state="promoted"
    )
    served.facts.promoted = samples.promotion(rows=(text, *rows))
    first = await text_of(served, "/promotion/14")
    assert "page 1 of 51" in first
    assert len(first) < 500_000
    assert "another line" in first
    assert "line 50000" in first
    assert "line 49000" not in first
    last = await text_of(served, "/promotion/14?page=51")
    assert "data.k9999" in last
    assert "data.k0<" not in last


@pytest.mark.parametrize("query", ["page=-1", "page=x", "page=99999999999999999999", "page=%C2%B2", "q=" + "x" * 5000, "busy=2"])
async def test_odd_queries_are_no_errors(served: Served, query: str) -> None:
    await text_of(served, f"/?{query}")


async def test_only_what_moves_can_be_asked_for(served: Served) -> None:
    names = re.findall(r'data-name="([^"]+)"', await text_of(served, "/?busy=1"))
    assert names == ["web", "api", "cron"]


class Stream:
    """An event stream, read message by message."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event and its data."""
        event, data = "", ""
        async with asyncio.timeout(10):
            while True:
                line = (await self.answer.content.readline()).decode()
                if not line:
                    return "end", {}
                if line == "\n" and event:
                    return event, json.loads(data)
                event = line[7:].strip() if line.startswith("event: ") else event
                data = line[6:] if line.startswith("data: ") else data


def version_in(text: str) -> str:
    found = re.search(r'data-version="([^"]+)"', text)
    assert found is not None
    return found[1]


async def test_the_stream_brings_what_changed_and_nothing_else(served: Served) -> None:
    session = await served.signed_in()
    async with session.get(served.url) as answer:
        version = version_in(await answer.text())
    async with session.get(f"{served.url}/events", params={"of": "/", "since": version}) as answer:
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        stream = Stream(answer)
        board = samples.board()
        web = views.Line(app="web", cells=(views.Cell(environment="dev", mark="broken", words="failing <now>"),))
        served.facts.shown = samples.board(lines=(web, *board.lines[2:], board.lines[1]), pending=board.pending[1:])
        served.page.poke()
        event, message = await stream.next()
        assert event == "change"
        assert set(message["changed"]) == {"row/web", "count"}
        assert "failing &lt;now&gt;" in message["changed"]["row/web"]
        assert message["gone"] == ["pending/staging~web"]
        assert [key for key in message["order"] if key.startswith("row/")] == ["row/web", "row/cron", "row/quiet", "row/api"]


async def test_a_stream_of_an_unknown_version_brings_everything(served: Served) -> None:
    session = await served.signed_in()
    async with session.get(f"{served.url}/events", params={"of": "/promotion/14", "since": "long-ago"}) as answer:
        _, message = await Stream(answer).next()
    assert set(message["changed"]) == {"notice", "title", "verdict", "act", "gates", "fields", "people", "text"}


async def test_signing_out_ends_the_stream_at_once(served: Served) -> None:
    session = await served.signed_in()
    async with session.get(served.url) as answer:
        text = await answer.text()
    found = re.search(r'name="csrf" value="([^"]+)"', text)
    assert found is not None
    async with session.get(f"{served.url}/events", params={"of": "/", "since": version_in(text)}) as answer:
        async with session.post(f"{served.url}/sign-out", data={"csrf": found[1]}) as out:
            assert out.status == 200
        assert (await Stream(answer).next())[0] == "bye"


async def test_a_server_that_stops_does_not_wait_for_its_listeners() -> None:
    stack = contextlib.AsyncExitStack()
    page = await stack.enter_async_context(web_served.serve(samples.Facts(), ()))
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(page.sign_in_url):
            pass
        async with session.get(f"{page.url}/events", params={"of": "/"}) as answer:
            stream = Stream(answer)
            await stream.next()
            async with asyncio.timeout(1.5):  # Waiting for the stream would take the server's 2 s.
                await stack.aclose()
            assert (await stream.next())[0] in ("end", "bye")


@pytest.mark.parametrize("of", ["/nowhere", "/promotion/x", "https://evil.example/", "//evil", "/app/"])
async def test_there_is_no_stream_of_what_is_no_page(served: Served, of: str) -> None:
    session = await served.signed_in()
    async with session.get(f"{served.url}/events", params={"of": of}) as answer:
        assert answer.status == 404


async def test_facts_are_asked_for_once_however_many_look(served: Served) -> None:
    sessions = [await served.signed_in() for _ in range(3)]
    asked = served.facts.asked
    served.clock.ahead += 5
    await asyncio.gather(*(_read(session, served.url) for session in sessions * 5))
    assert served.facts.asked == asked + 1


async def _read(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as answer:
        await answer.read()


async def test_every_text_is_legible_in_both_themes() -> None:
    from penstock.web import drawing

    style = drawing.static("style.css").decode()
    themes = re.findall(r":root \{(.*?)\}", style, re.S)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", theme))
        for paper in ("paper", "sheet", "soft"):
            for ink in ("ink", "muted", "link", "live", "moving", "person", "broken", "unknown", "absent"):
                assert contrast(colours[paper], colours[ink]) >= 4.5, (paper, ink, contrast(colours[paper], colours[ink]))
        assert contrast(colours["accent"], colours["sheet"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two #rrggbb colours."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


async def test_whoever_may_only_look_is_shown_conflicts_and_cannot_decide_them() -> None:
    from penstock.model.people import Grant, Person

    facts = samples.Facts()
    facts.granted = (Grant(role="viewer", users=("token:eve",)),)
    token = "the-token-of-somebody-who-looks"
    entrance = serving.Entrance(tokens={token: Person(login="token:eve")})
    async with (
        web_served.serve(facts, token="", entrance=entrance) as page,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        async with session.post(f"{page.url}/sign-in", data={"token": token}):
            pass
        async with session.get(f"{page.url}/app/web") as answer:
            text = await answer.text()
        assert "1 field to decide" in text
        assert "penstock promote web --to staging" in text
        assert 'type="radio"' not in text
        found = re.search(r'name="csrf" value="([^"]+)"', text)
        assert found is not None
        data = {"csrf": found[1], "target": "staging", "stamp": "x", "choice a": "take"}
        async with session.post(f"{page.url}/app/web/decide", data=data) as answer:
            assert answer.status == 403
            assert "that takes the role developer in staging" in await answer.text()
    assert facts.decided == []
