"""Repositories over the API: branches, their rules, labels, hooks, commit statuses. In: requests. Out: Gitea's JSON."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from aiohttp import web

from penstock.sandbox.forge import asking
from penstock.sandbox.forge.pulls import Happening, Pulls, Refusal
from penstock.sandbox.forge.shapes import Json, Shapes, protection
from penstock.sandbox.forge.store import Repository, Rules, Store, now

_STATES = ("pending", "success", "error", "failure", "warning", "skipped")

MakeRepository = Callable[[str, str, str], Repository]


class RepositoryApi:
    """The handlers below /repos/{owner}/{repo} that are not about pull requests."""

    def __init__(self, store: Store, pulls: Pulls, shapes: Shapes, asked: asking.Asked, make: MakeRepository) -> None:
        self._store = store
        self._pulls = pulls
        self._shapes = shapes
        self._asked = asked
        self._make_repository = make

    async def create_repository(self, request: web.Request) -> web.Response:
        user = self._asked.user(request)
        body = await asking.body(request)
        owner = request.match_info.get("owner", user)
        made = self._make_repository(owner, asking.text(body, "name"), asking.text(body, "default_branch", "main") or "main")
        return asking.answer(self._shapes.repository(made), 201)

    async def repository(self, request: web.Request) -> web.Response:
        return asking.answer(self._shapes.repository(self._asked.repository(request)))

    async def branches(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        found = list(self._pulls.bare(repository).branches().items())
        return self._asked.page(request, found, lambda pair: self._shapes.branch(repository, *pair))

    async def branch(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        name = request.match_info["branch"]
        commit = self._pulls.bare(repository).branch(name)
        if commit is None:
            raise Refusal(404, f"branch {name!r} does not exist")
        return asking.answer(self._shapes.branch(repository, name, commit))

    async def delete_branch(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        name = request.match_info["branch"]
        if name == repository.default_branch or self._store.rules(repository.id, name):
            raise Refusal(403, "branch protected")
        open_pulls = [pull for pull in self._store.pulls(repository.id, "open") if pull.head == name]
        for pull in open_pulls:
            self._pulls.close(repository, self._asked.user(request), pull)
        if not self._pulls.bare(repository).delete_branch(name):
            raise Refusal(404, f"branch {name!r} does not exist")
        return web.Response(status=204)

    async def commit(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        found = self._pulls.bare(repository).commit(request.match_info["sha"])
        if found is None:
            raise Refusal(404, "commit does not exist")
        return asking.answer(self._shapes.commit(repository, found))

    # branch protection

    async def protections(self, request: web.Request) -> web.Response:
        found = self._store.protections(self._asked.repository(request).id)
        return asking.answer([protection(branch, rules) for branch, rules in found.items()])

    async def protection(self, request: web.Request) -> web.Response:
        branch, rules = self._rules(request)
        return asking.answer(protection(branch, rules))

    async def set_protection(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        body = await asking.body(request)
        branch = asking.text(body, "rule_name", "") or asking.text(body, "branch_name")
        if self._store.rules(repository.id, branch):
            raise Refusal(403, "Branch protection already exist")
        rules = _edited_rules(Rules(enable_push=False), body)
        self._store.set_rules(repository.id, branch, rules)
        return asking.answer(protection(branch, rules), 201)

    async def edit_protection(self, request: web.Request) -> web.Response:
        branch, before = self._rules(request)
        rules = _edited_rules(before, await asking.body(request))
        self._store.set_rules(self._asked.repository(request).id, branch, rules)
        return asking.answer(protection(branch, rules))

    async def delete_protection(self, request: web.Request) -> web.Response:
        branch, _ = self._rules(request)
        self._store.set_rules(self._asked.repository(request).id, branch, None)
        return web.Response(status=204)

    def _rules(self, request: web.Request) -> tuple[str, Rules]:
        branch = request.match_info["branch"]
        rules = self._store.rules(self._asked.repository(request).id, branch)
        if rules is None:
            raise Refusal(404, "branch protection does not exist")
        return branch, rules

    # labels and hooks

    async def labels(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        return self._asked.page(request, self._store.labels(repository.id), lambda row: self._shapes.label(row, repository))

    async def create_label(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        body = await asking.body(request)
        name = asking.text(body, "name")
        # Gitea lets two labels share a name; a sandbox that did would only hide mistakes.
        if any(row["name"] == name for row in self._store.labels(repository.id)):
            raise Refusal(422, f"label {name!r} exists")
        color = asking.text(body, "color").lstrip("#").lower()
        made = self._store.insert(
            "labels", repository=repository.id, name=name, color=color, description=asking.text(body, "description", "")
        )
        return asking.answer(self._shapes.label(self._asked.row("labels", made), repository), 201)

    async def hooks(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        return self._asked.page(
            request, self._store.rows("select * from hooks where repository = ?", repository.id), self._shapes.hook
        )

    async def create_hook(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        body = await asking.body(request)
        config = body.get("config")
        if body.get("type") != "gitea" or not isinstance(config, dict) or not config.get("url"):
            raise Refusal(422, "a hook needs type 'gitea' and config.url")
        values = {"secret": str(config.get("secret", "")), "events": json.dumps(body.get("events") or ["push"])}
        active = bool(body.get("active", False))
        made = self._store.insert("hooks", repository=repository.id, url=config["url"], active=active, created=now(), **values)
        return asking.answer(self._shapes.hook(self._asked.row("hooks", made)), 201)

    async def delete_hook(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        row = self._store.row(
            "select id from hooks where id = ? and repository = ?", int(request.match_info["id"]), repository.id
        )
        if row is None:
            raise Refusal(404, "hook does not exist")
        self._store.delete("hooks", row["id"])
        return web.Response(status=204)

    # commit statuses

    async def create_status(self, request: web.Request) -> web.Response:
        user, repository = self._asked.user(request), self._asked.repository(request)
        sha = request.match_info["sha"]
        found = self._pulls.bare(repository).commit(sha)
        if found is None:
            raise Refusal(404, f"commit {sha} does not exist")
        body = await asking.body(request)
        state = asking.text(body, "state")
        if state not in _STATES:
            raise Refusal(422, f"state {state!r} is none of {', '.join(_STATES)}")
        values = {name: asking.text(body, name, "") for name in ("description", "target_url")}
        made = self._store.insert(
            "statuses",
            repository=repository.id,
            sha=str(found.id),
            context=asking.text(body, "context", "") or "default",
            state=state,
            creator=user,
            created=now(),
            **values,
        )
        self._pulls.announce(Happening(event="status", repository=repository, user=user))
        return asking.answer(self._shapes.status(repository, self._asked.row("statuses", made)), 201)

    async def statuses(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        rows = self._store.statuses(repository.id, self._asked.sha(request, repository))
        return self._asked.page(request, rows, lambda row: self._shapes.status(repository, row))

    async def combined_status(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        sha = self._asked.sha(request, repository)
        newest: dict[str, sqlite3.Row] = {}
        for row in self._store.statuses(repository.id, sha):
            newest.setdefault(row["context"], row)
        states = [row["state"] for row in newest.values()]
        shown = [self._shapes.status(repository, row) for row in newest.values()]
        return asking.answer(
            {
                "state": _combined(states),
                "sha": sha,
                "total_count": len(shown),
                "statuses": shown,
                "repository": self._shapes.repository(repository),
            }
        )


def _combined(states: list[str]) -> str:
    """One word for all contexts of a commit, as Gitea finds it: a warning is a failure here, and nothing is pending."""
    if any(state in ("error", "failure", "warning") for state in states):
        return "failure"
    return "success" if states and all(state in ("success", "skipped") for state in states) else "pending"


def _edited_rules(before: Rules, body: Json) -> Rules:
    values: dict[str, Any] = {name: getattr(before, name) for name in Rules.__dataclass_fields__}
    for name, value in body.items():
        if name in values:
            values[name] = tuple(value) if isinstance(value, list) else value
    return Rules(**values)
