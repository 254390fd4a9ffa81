"""What a person can do on the page. In: forms that were allowed. Out: reviews and merges on the forge, commits in Git.

What a forge counts as a person's (a review, a merge, closing) is done there as that person, with their own credentials, or not
at all: an approval by the bot would be nobody's. What is a commit (a rollback, a hold, a freeze, a decision on a conflict) is
made by Penstock with the person's name in it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import quote

from aiohttp import web

from penstock.model import errors
from penstock.ports.clock import Clock
from penstock.ports.forge import Forge, PullRequest, ReviewState
from penstock.web import pages, parts, views
from penstock.web.sessions import Session

Side = Literal["take", "keep"]
"""Take what the source has, or keep what the target has."""

_DECIDED = ("approved", "changes_requested")


class Deeds(Protocol):
    """What is written to Git. `by`: the person, as their name shall stand there. Raises PenstockError."""

    async def decide(self, name: str, target: str, stamp: str, choices: Mapping[str, Side], by: str) -> None:
        """Promote an app with these decisions: field -> side. Raises RaceError when `stamp` is of other values."""

    async def rollback(self, environment: str, app: str, to: str, by: str) -> int:
        """Propose to take an app ('': all of the environment) back to a commit ('': the one before); the pull request."""

    async def hold(self, app: str, environment: str, reason: str, by: str) -> int:
        """Keep it back; the pull request that does so where the main branch takes no commits, else 0. Likewise those below."""

    async def release(self, app: str, environment: str, by: str) -> int: ...
    async def freeze(self, environment: str, reason: str, by: str) -> int: ...
    async def thaw(self, environment: str, by: str) -> int: ...

    async def merge_text(self, number: int) -> tuple[str, str]:
        """Title and message with which a pull request is merged, its record included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """The forge as the people who may act there see it."""

    clock: Clock
    people: Mapping[str, Forge] = field(default_factory=dict)
    """On one's own machine: login -> the forge as that person, for whoever has the link."""
    connect: Callable[[str], contextlib.AbstractAsyncContextManager[Forge]] | None = None
    """The forge with the access token of a sign-in there."""

    def logins(self, session: Session) -> tuple[str, ...]:
        """As whom a session may act on the forge."""
        if session.person.own:
            return tuple(self.people)
        fresh = session.forge_token and session.forge_until > self.clock.monotonic()
        return (session.person.login,) if fresh and self.connect is not None else ()

    @contextlib.asynccontextmanager
    async def of(self, session: Session, login: str) -> AsyncIterator[Forge]:
        """The forge as one of these people. Raises RefusedError for anybody else."""
        if login not in self.logins(session):
            raise errors.RefusedError("nobody of that name can act here", code="NoActor", status=403)
        if session.person.own:
            yield self.people[login]
            return
        assert self.connect is not None
        async with self.connect(session.forge_token) as forge:
            yield forge


@dataclass(slots=True, kw_only=True, eq=False)
class Acting:
    """The handlers of everything that changes something. Whether it is allowed was asked before: see `guarding`."""

    site: pages.Pages
    deeds: Deeds
    hands: Hands
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Looking and acting are one step: of two who press at the same time, the second sees what the first did."""

    async def approve(self, request: web.Request) -> web.StreamResponse:
        return await self._review(request, "approved", "approved")

    async def ask(self, request: web.Request) -> web.StreamResponse:
        return await self._review(request, "changes_requested", "asked")

    async def _review(self, request: web.Request, state: ReviewState, done: str) -> web.StreamResponse:
        """A review as the chosen person, at exactly the commit that was looked at."""
        number, form = int(request.match_info["name"]), await _form(request)

        async def act() -> str:
            async with self._as_person(request, form) as (forge, login):
                pull = await self._open(forge, number, form)
                await self._others_only(request, pull, login, state)
                comment = form.get("comment", "").strip()
                if state == "changes_requested" and not comment:
                    raise errors.RefusedError("say which changes you ask for", code="NoComment", status=400)
                mine = [one for one in await forge.reviews(number) if one.user == login and one.state in _DECIDED]
                if mine and (mine[-1].state, mine[-1].commit) == (state, pull.head_sha):
                    raise errors.RaceError(f"{login} decided so already", code="AlreadyDecided", status=409)
                await forge.review(number, state=state, commit=pull.head_sha, body=comment)
            return f"/promotion/{number}?done={done}"

        return await self._done(request, f"/promotion/{number}", act)

    async def _others_only(self, request: web.Request, pull: PullRequest, login: str, state: ReviewState) -> None:
        """Nobody approves what they opened, wrote or asked for. Raises RefusedError."""
        if pull.author == login:
            raise errors.RefusedError(f"{login} opened #{pull.number}; somebody else has to decide", code="OwnChange", status=403)
        if state != "approved":
            return
        page, viewer = await self._page(request, pull.number)
        if why := parts.own_change(page, viewer.names | {login.lower()}):
            raise errors.RefusedError(why, code="OwnChange", status=403)

    async def merge(self, request: web.Request) -> web.StreamResponse:
        """Merge what waits for a person, at the commit that was looked at, once every gate is green."""
        number, form = int(request.match_info["name"]), await _form(request)

        async def act() -> str:
            async with self._as_person(request, form) as (forge, _):
                pull = await self._open(forge, number, form)
                page, _ = await self._page(request, number)
                if page.head != pull.head_sha or page.not_ready:
                    what = page.not_ready or "it changed while you looked"
                    raise errors.RaceError(f"#{number} cannot be merged: {what}", code="NotReady", status=409)
                if pull.draft:
                    raise errors.RaceError(f"#{number} is a draft", code="NotReady", status=409)
                title, message = await self.deeds.merge_text(number)
                await forge.merge_pull(number, sha=pull.head_sha, method="squash", title=title, message=message)
            return f"/promotion/{number}?done=merged"

        return await self._done(request, f"/promotion/{number}", act)

    async def close_pull(self, request: web.Request) -> web.StreamResponse:
        """Reject: close it, with the reason, as the chosen person."""
        number, form = int(request.match_info["name"]), await _form(request)

        async def act() -> str:
            reason = form.get("comment", "").strip()
            if not reason:
                raise errors.RefusedError("say why it is rejected", code="NoComment", status=400)
            async with self._as_person(request, form) as (forge, _):
                await self._open(forge, number, form)
                await forge.comment(number, reason)
                await forge.update_pull(number, state="closed")
            return f"/promotion/{number}?done=closed"

        return await self._done(request, f"/promotion/{number}", act)

    async def decide(self, request: web.Request) -> web.StreamResponse:
        """Settle every conflict of an app's promotion into one environment, for the values that were shown."""
        name, form = request.match_info["name"], await _form(request)

        async def act() -> str:
            stamp = form.get("stamp", "")
            await self.deeds.decide(name, form["target"], stamp, _choices(form), self._by(request))
            return f"{_app(name)}?done=decided"

        return await self._done(request, _app(name), act)

    async def rollback(self, request: web.Request) -> web.StreamResponse:
        """Propose it: an app into the environment of the form, or the whole environment of the path."""
        form = await _form(request)
        name = request.match_info["name"]
        whole = request.path.startswith("/environment/")
        back = _environment(name) if whole else _app(name)

        async def act() -> str:
            environment, app = (name, "") if whole else (form["target"], name)
            to = form.get("to", "")
            if not to:
                raise errors.RefusedError("choose what it goes back to", code="NoRevision", status=400)
            number = await self.deeds.rollback(environment, app, to, self._by(request))
            return f"/promotion/{number}?done=rollback"

        return await self._done(request, back, act)

    async def hold(self, request: web.Request) -> web.StreamResponse:
        name, form = request.match_info["name"], await _form(request)

        async def act() -> str:
            number = await self.deeds.hold(name, form["target"], _reason(form), self._by(request))
            return _marked(number, f"{_app(name)}?done=held")

        return await self._done(request, _app(name), act)

    async def release(self, request: web.Request) -> web.StreamResponse:
        name, form = request.match_info["name"], await _form(request)

        async def act() -> str:
            number = await self.deeds.release(name, form["target"], self._by(request))
            return _marked(number, f"{_app(name)}?done=released")

        return await self._done(request, _app(name), act)

    async def freeze(self, request: web.Request) -> web.StreamResponse:
        name, form = request.match_info["name"], await _form(request)

        async def act() -> str:
            number = await self.deeds.freeze(name, _reason(form), self._by(request))
            return _marked(number, f"{_environment(name)}?done=frozen")

        return await self._done(request, _environment(name), act)

    async def thaw(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]

        async def act() -> str:
            number = await self.deeds.thaw(name, self._by(request))
            return _marked(number, f"{_environment(name)}?done=thawed")

        return await self._done(request, _environment(name), act)

    # what they share

    async def _done(self, request: web.Request, back: str, act: Callable[[], Awaitable[str]]) -> web.StreamResponse:
        """Do it, and show where it led; or say why it was not done."""
        try:
            async with self._turn:
                where = await act()
        except errors.PenstockError as error:
            return await self.site.refused(request, status_of(error), "Not recorded", error.what, error.hint, back)
        self.site.poke()
        return web.Response(status=303, headers={"Location": where})

    @contextlib.asynccontextmanager
    async def _as_person(self, request: web.Request, form: Mapping[str, str]) -> AsyncIterator[tuple[Forge, str]]:
        login = form.get("login", "")
        async with self.hands.of(self._session(request), login) as forge:
            yield forge, login

    async def _open(self, forge: Forge, number: int, form: Mapping[str, str]) -> PullRequest:
        """The pull request as it is on the forge now. Raises RaceError when it is not the one that was looked at."""
        pull = await forge.pull(number)
        if pull.state != "open":
            raise errors.RaceError(f"#{number} is {pull.state} already", code="NotOpen", status=409)
        if pull.head_sha != form.get("head", ""):
            what = f"#{number} changed while you looked: it is at {pull.head_sha[:7]} now"
            raise errors.RaceError(what, hint="read it again, then decide", code="StaleHead", status=409)
        return pull

    async def _page(self, request: web.Request, number: int) -> tuple[views.PromotionPage, parts.Viewer]:
        """What is computed about a pull request now."""
        viewer = await self.site.viewer(self._session(request), personal=True)
        known = await self.site.sees(pages.Target(kind="promotion", name=str(number)), viewer)
        if known is None or known.value is None or known.problem:
            raise errors.TransientError((known and known.problem) or "nothing is known of it yet", code="NotKnown")
        return known.value, viewer

    def _session(self, request: web.Request) -> Session:
        session = self.site.door.session(request)
        if session is None:
            raise errors.RefusedError("you were signed out meanwhile", code="SignedOut", status=401)
        return session

    def _by(self, request: web.Request) -> str:
        person = self._session(request).person
        return f"{person.name} ({person.login})" if person.name and person.name != person.login else person.login


async def _form(request: web.Request) -> dict[str, str]:
    return {key: str(value) for key, value in (await request.post()).items()}


def _reason(form: Mapping[str, str]) -> str:
    reason = " ".join(form.get("reason", "").split())[:500]
    if not reason:
        raise errors.RefusedError("say why: whoever waits will read it", code="NoReason", status=400)
    return reason


def _choices(form: Mapping[str, str]) -> dict[str, Side]:
    """The form's 'choice <field>' entries."""
    chosen: dict[str, Side] = {}
    for key, value in form.items():
        if key.startswith("choice ") and value in ("take", "keep"):
            chosen[key.removeprefix("choice ")] = "take" if value == "take" else "keep"
    return chosen


def _marked(number: int, back: str) -> str:
    """Where to go: to the pull request that wants an approval first, or back."""
    return f"/promotion/{number}?done=proposed" if number else back


def _app(name: str) -> str:
    return f"/app/{quote(name, safe='')}"


def _environment(name: str) -> str:
    return f"/environment/{quote(name, safe='')}"


_STATUSES = {
    "NotFound": 404,
    "NoActor": 403,
    "OwnChange": 403,
    "NoComment": 400,
    "NoReason": 400,
    "NoRevision": 400,
    "SignedOut": 401,
    "SignIn": 403,
    "BadToken": 403,
    "NoLogin": 403,
    "ProviderRefused": 403,
}


def status_of(error: errors.PenstockError) -> int:
    """The HTTP status that tells what the caller can do."""
    if error.code in _STATUSES:
        return _STATUSES[error.code]
    match error:
        case errors.RaceError() | errors.ConflictError():
            return 409
        case errors.RemoteError():
            return 502
        case errors.InputError():
            return 422
        case _:
            return 500
