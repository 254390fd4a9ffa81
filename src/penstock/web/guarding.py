"""Asks, for every route of the table, whether whoever signed in may do that there. In: a route and its handler. Out: a handler.

There is no other place: a handler that is called was allowed. What may not be seen is not there (404), whether it is or not;
what may be seen and not be done is refused (403) with the role that would be needed.
"""

from __future__ import annotations

from aiohttp import web

from penstock.model import people
from penstock.web import access, pages, routing
from penstock.web.sessions import Session


def guarded(site: pages.Pages, route: routing.Route, handler: access.Handler) -> access.Handler:
    """The handler, behind the question."""
    if route.scope in ("open", "session") or route.handler == "page":
        return handler  # Pages and their streams ask `sees`, which knows what is on them.

    async def asked(request: web.Request) -> web.StreamResponse:
        session = site.door.session(request)
        assert session is not None
        environment = await _environment(site, route, request, session)
        grants = await site.grants()
        if not people.may(session.person, "look", environment, grants):
            raise web.HTTPNotFound(text="there is no such page")
        if not people.may(session.person, route.action, environment, grants):
            needed = people.NEEDS[route.action]
            where = f"in {environment}" if environment else "in every environment"
            raise web.HTTPForbidden(text=f"that takes the role {needed} {where}")
        return await handler(request)

    return asked


async def _environment(site: pages.Pages, route: routing.Route, request: web.Request, session: Session) -> str:
    """Which environment a request is about. Raises HTTPNotFound for none that may be seen."""
    match route.scope:
        case "fleet":
            return people.FLEET
        case "environment":
            name = request.match_info["name"]
        case "form":
            given = (await request.post()).get("target", "")
            name = given if isinstance(given, str) else ""
        case _:
            target = pages.Target(kind="promotion", name=request.match_info["name"])
            known = await site.sees(target, await site.viewer(session, personal=True))
            if known is None:
                raise web.HTTPNotFound(text="there is no such page")
            if known.value is None:
                raise web.HTTPServiceUnavailable(text=known.problem or "nothing is known of it yet")
            return str(known.value.target)
    if name not in site.environments:
        raise web.HTTPNotFound(text="there is no such page")
    return name
