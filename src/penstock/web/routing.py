"""Every route there is, and what somebody must be allowed to do, and where, to be served. In: nothing. Out: one table.

The handlers do not ask again: `pages` asks `may` about each row before it calls the handler, and a test asserts every row for
every role and for environments of one's own and others'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from penstock.model.people import Action

Scope = Literal["open", "session", "any", "fleet", "environment", "promotion", "form"]
"""Where the environment of a request is found: nobody asks (open to everybody, to everybody signed in), any that may be seen,
all of them, the one in the path, the one the pull request goes to, the one the form names."""

STATIC = "/-/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row."""

    method: Literal["GET", "POST"]
    path: str
    handler: str
    scope: Scope
    action: Action = "look"


_NUMBER = "{name:[1-9][0-9]{0,8}}"
_NAME = "{name:[^/]+}"

ROUTES = (
    Route(method="GET", path="/", handler="page", scope="any"),
    Route(method="GET", path=f"/app/{_NAME}", handler="page", scope="any"),
    Route(method="POST", path=f"/app/{_NAME}/decide", handler="decide", scope="form", action="decide"),
    Route(method="POST", path=f"/app/{_NAME}/rollback", handler="rollback", scope="form", action="rollback"),
    Route(method="POST", path=f"/app/{_NAME}/hold", handler="hold", scope="form", action="hold"),
    Route(method="POST", path=f"/app/{_NAME}/release", handler="release", scope="form", action="hold"),
    Route(method="GET", path=f"/promotion/{_NUMBER}", handler="page", scope="promotion"),
    Route(method="POST", path=f"/promotion/{_NUMBER}/approve", handler="approve", scope="promotion", action="approve"),
    Route(method="POST", path=f"/promotion/{_NUMBER}/ask", handler="ask", scope="promotion", action="comment"),
    Route(method="POST", path=f"/promotion/{_NUMBER}/merge", handler="merge", scope="promotion", action="merge"),
    Route(method="POST", path=f"/promotion/{_NUMBER}/close", handler="close_pull", scope="promotion", action="close"),
    Route(method="GET", path=f"/environment/{_NAME}", handler="page", scope="environment"),
    Route(method="POST", path=f"/environment/{_NAME}/rollback", handler="rollback", scope="environment", action="rollback"),
    Route(method="POST", path=f"/environment/{_NAME}/freeze", handler="freeze", scope="environment", action="freeze"),
    Route(method="POST", path=f"/environment/{_NAME}/thaw", handler="thaw", scope="environment", action="freeze"),
    Route(method="GET", path=f"/log/{_NAME}", handler="page", scope="environment"),
    Route(method="GET", path="/events", handler="events", scope="session"),
    Route(method="GET", path="/sessions", handler="list_sessions", scope="fleet", action="sessions"),
    Route(method="POST", path="/sessions/end", handler="end_session", scope="fleet", action="sessions"),
    Route(method="POST", path="/sign-out", handler="sign_out", scope="session"),
    Route(method="GET", path="/sign-in", handler="sign_in", scope="open"),
    Route(method="POST", path="/sign-in", handler="sign_in", scope="open"),
    Route(method="GET", path="/sign-in/start", handler="start", scope="open"),
    Route(method="GET", path="/sign-in/return", handler="come_back", scope="open"),
    Route(method="GET", path="/healthz", handler="healthz", scope="open"),
    Route(method="GET", path=STATIC + "{digest}/{name}", handler="static", scope="open"),
)

OPEN = frozenset(route.path for route in ROUTES if route.scope == "open" and "{" not in route.path)
