"""What an API request asks for: who asks, about what, with which body. In: a request. Out: values, or a Refusal."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from penstock.sandbox.forge.access import Access
from penstock.sandbox.forge.pulls import Pulls, Refusal
from penstock.sandbox.forge.shapes import Json, Shapes
from penstock.sandbox.forge.store import Pull, Repository, Store

_PAGE, _PAGE_LIMIT = 30, 50


class Asked:
    """Reads requests against what is stored."""

    def __init__(self, store: Store, pulls: Pulls, shapes: Shapes, access: Access) -> None:
        self._store = store
        self._pulls = pulls
        self._shapes = shapes
        self._access = access

    def user(self, request: web.Request) -> str:
        user = self._access.user(request)
        if user is None:
            raise Refusal(401, "token is required")
        return user

    def repository(self, request: web.Request) -> Repository:
        self.user(request)
        found = self._store.repository(request.match_info["owner"], request.match_info["repo"])
        if found is None:
            raise Refusal(404, "The target couldn't be found.")
        return found

    def pull(self, request: web.Request) -> tuple[Repository, Pull]:
        repository = self.repository(request)
        return repository, self._pulls.get(repository, int(request.match_info["number"]))

    def sha(self, request: web.Request, repository: Repository) -> str:
        found = self._pulls.bare(repository).commit(request.match_info["sha"])
        if found is None:
            raise Refusal(404, "commit does not exist")
        return str(found.id)

    def row(self, table: str, id: int) -> sqlite3.Row:  # noqa: A002 - the column's name
        found = self._store.row(f"select * from {table} where id = ?", id)  # noqa: S608 - names are ours
        assert found is not None
        return found

    def page[T](self, request: web.Request, found: Sequence[T], shape: Callable[[T], Json]) -> web.Response:
        """One page of a list, with Gitea's total and Link headers; only what is shown is shaped."""
        try:
            number = max(1, int(request.query.get("page", "1")))
            size = min(_PAGE_LIMIT, max(1, int(request.query.get("limit", str(_PAGE)))))
        except ValueError:
            raise Refusal(422, "page and limit are numbers") from None
        response = answer([shape(item) for item in found[(number - 1) * size : number * size]])
        response.headers["X-Total-Count"] = str(len(found))
        if number * size < len(found):
            following = request.rel_url.update_query(page=str(number + 1))
            response.headers["Link"] = f'<{self._shapes.url}{following}>; rel="next"'
        return response


async def body(request: web.Request) -> Json:
    """The JSON object a request carries."""
    try:
        found = json.loads(await request.text() or "{}")
    except ValueError:
        raise Refusal(422, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise Refusal(422, "the body is not an object")
    return found


def text(words: Json, name: str, default: str | None = "\0") -> Any:
    """A text of the body; without a default it is required."""
    found = words.get(name)
    if found is None and default != "\0":
        return default
    if not isinstance(found, str) or (default == "\0" and not found.strip()):
        raise Refusal(422, f"[{name}]: Required")
    return found


def answer(content: object, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.json_response(content, status=status)
