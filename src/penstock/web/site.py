"""The whole site: every route of the table with its handler, the doors, static files, and the boundary around all of it.

In: pages, acting, doors. Out: an aiohttp application.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from penstock.model import errors, people
from penstock.web import access, acting, drawing, guarding, pages, routing, signing_in

_log = logging.getLogger(__name__)

_BODY_LIMIT_BYTES = 64 * 1024


@dataclass(slots=True, kw_only=True, eq=False)
class Site:
    """Handlers that belong to no page."""

    pages: pages.Pages
    acting: acting.Acting
    doors: signing_in.Doors

    def application(self) -> web.Application:
        made = web.Application(middlewares=[self.boundary, self.pages.door.guard], client_max_size=_BODY_LIMIT_BYTES)
        made.add_routes([web.route(route.method, route.path, self._handler(route)) for route in routing.ROUTES])
        made.on_response_prepare.append(add_headers)
        return made

    def _handler(self, route: routing.Route) -> access.Handler:
        owner = next(one for one in (self, self.pages, self.acting) if hasattr(one, route.handler))
        return guarding.guarded(self.pages, route, getattr(owner, route.handler))

    # doors

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """The ways in; with a token, in: by the link (on one's own machine), or pasted."""
        if request.method == "POST":
            token = str((await request.post()).get("token", ""))
        else:
            # Behind a proxy addresses are logged: there a token is never part of one.
            token = "" if self.pages.door.secure else request.query.get("token", "")
        if not token:
            return await self._doors(request)
        session = self.doors.with_token(request, token)
        if session is None:
            return await self._doors(request, wrong=True, status=401)
        response = _go("/")
        self.pages.door.let_in(request, response, session)
        return response

    async def start(self, request: web.Request) -> web.StreamResponse:
        """Off to the identity provider."""
        if self.doors.provider is None:
            raise web.HTTPNotFound
        where, cookie = await self.doors.begin(_page(request.query.get("to", "")))
        response = _go(where)
        response.set_cookie(
            self.doors.flow_cookie,
            cookie,
            httponly=True,
            secure=self.pages.door.secure,
            # Lax: the browser comes back from another site, and has to bring it along then.
            samesite="Lax",
            path="/",
            max_age=self.doors.flow_seconds,
        )
        return response

    async def come_back(self, request: web.Request) -> web.StreamResponse:
        """Back from the identity provider."""
        if self.doors.provider is None:
            raise web.HTTPNotFound
        try:
            session, to = await self.doors.come_back(request.query, request.cookies.get(self.doors.flow_cookie, ""))
        except errors.PenstockError as error:
            response = await self.pages.refused(
                request, acting.status_of(error), "Not signed in", error.what, error.hint, "/sign-in"
            )
        else:
            # A page and no redirect: the session's cookie is not sent on a way that began at another site.
            response = await self.pages.html(request, "signed_in.html", title="Signed in", to=to)
            self.pages.door.let_in(request, response, session)
        response.del_cookie(self.doors.flow_cookie, path="/", httponly=True, secure=self.pages.door.secure, samesite="Lax")
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """End the session."""
        response = _go("/sign-in")
        self.pages.door.sign_out(request, response)
        return response

    async def _doors(self, request: web.Request, *, wrong: bool = False, status: int = 200, to: str = "/") -> web.Response:
        return await self.pages.html(
            request,
            "sign_in.html",
            status=status,
            title="Sign in",
            wrong=wrong,
            to=to,
            provider=self.doors.provider.name if self.doors.provider else "",
            tokens=self.pages.door.takes_tokens,
            linked=not self.pages.door.secure,
        )

    # who is in

    async def list_sessions(self, request: web.Request) -> web.StreamResponse:
        """Everybody who is signed in, for admins."""
        grants = await self.pages.grants()
        rows = [
            (session, [name for name in self.pages.environments if people.may(session.person, "look", name, grants)])
            for session in self.pages.door.sessions.living()
        ]
        return await self.pages.html(
            request, "sessions.html", title="Sessions", rows=rows, done="Ended." if request.query.get("done") == "ended" else ""
        )

    async def end_session(self, request: web.Request) -> web.StreamResponse:
        """End somebody's session: pages they have open close at once."""
        handle = str((await request.post()).get("handle", ""))
        found = next((one for one in self.pages.door.sessions.living() if one.handle == handle), None)
        if found is None:
            raise web.HTTPNotFound(text="that session has ended already")
        self.pages.door.sessions.end(found)
        return _go("/sessions?done=ended")

    # the rest

    async def healthz(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n")

    async def static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in drawing.STATIC:
            raise web.HTTPNotFound
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(body=drawing.static(name), content_type=drawing.STATIC[name], charset="utf-8", headers=kept)

    @web.middleware
    async def boundary(self, request: web.Request, handler: access.Handler) -> web.StreamResponse:
        """Every refusal is a page, and no error shows its insides."""
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            return await self._refusal(request, refusal)
        except errors.PenstockError as error:
            return await self.pages.refused(request, acting.status_of(error), "That did not work", error.what, error.hint)
        except Exception as error:
            # The one boundary of a request: what is not foreseen goes to the log, with where it happened.
            _log.exception("%s %s failed: %s", request.method, request.rel_url.path, type(error).__name__)
            what = "an internal error; the log of the process that serves this page tells more"
            return await self.pages.refused(request, 500, "That did not work", what)

    async def _refusal(self, request: web.Request, refusal: web.HTTPException) -> web.StreamResponse:
        if refusal.status == 421:
            return web.Response(status=421, text=refusal.text)
        if refusal.status == 401:
            to = _page(request.rel_url.raw_path_qs) if request.method == "GET" else "/"
            return await self._doors(request, status=401, to=to)
        plain = re.match(r"\d{3}: ", refusal.text or "") is not None
        given = refusal.reason if plain or not refusal.text else refusal.text
        what = {405: "that cannot be done here"}.get(refusal.status, "there is no such page" if plain else given)
        response = await self.pages.refused(request, refusal.status, refusal.reason, what.strip())
        for name in ("Allow", "Retry-After"):
            if name in refusal.headers:
                response.headers[name] = refusal.headers[name]
        return response


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer, event streams included, just before it is sent."""
    for name, value in access.HEADERS.items():
        response.headers.setdefault(name, value)


def _page(wanted: str) -> str:
    """The page of ours that an address means, written anew; the board for anything else, so that nobody is led elsewhere."""
    path, _, query = wanted.partition("?")
    if not path.startswith("/") or path.startswith("//"):
        return "/"
    try:
        return pages.address(pages.parse(path, dict(parse_qsl(query))))
    except web.HTTPNotFound:
        return "/"


def _go(where: str) -> web.Response:
    """See there: a path of our own, or the identity provider."""
    return web.Response(status=303, headers={"Location": where})
