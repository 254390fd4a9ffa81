"""What the forge remembers besides Git, in one SQLite file. In: facts. Out: rows as values; a write returns when on disk.

Only what Git cannot say is kept here. In particular an open pull request's head is the branch itself: the column
`head_sha` is what was last seen of it, used once the branch is gone.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SCHEMA = """
create table if not exists settings (name text primary key, value text not null);
create table if not exists users (id integer primary key, login text unique not null, token text unique not null);
create table if not exists teams (id integer primary key, org text not null, name text not null, members text not null,
    unique (org, name));
create table if not exists repositories (id integer primary key, owner text not null, name text not null,
    default_branch text not null, created text not null, unique (owner, name));
create table if not exists protections (repository integer not null, branch text not null, rules text not null,
    primary key (repository, branch));
create table if not exists pulls (id integer primary key, repository integer not null, number integer not null,
    author text not null, title text not null, body text not null, head text not null, base text not null,
    head_sha text not null, base_sha text not null default '', state text not null, created text not null, updated text not null,
    closed text, closed_by text not null default '', merged text, merged_by text not null default '', merge_sha text,
    unique (repository, number));
create table if not exists labels (id integer primary key, repository integer not null, name text not null,
    color text not null, description text not null default '', unique (repository, name));
create table if not exists pull_labels (pull integer not null, label integer not null, primary key (pull, label));
create table if not exists reviews (id integer primary key, pull integer not null, user text not null, state text not null,
    body text not null, commit_id text not null, official integer not null, dismissed integer not null default 0,
    created text not null);
create table if not exists comments (id integer primary key, repository integer not null, pull integer not null,
    user text not null, body text not null, created text not null, updated text not null);
create table if not exists statuses (id integer primary key, repository integer not null, sha text not null,
    context text not null, state text not null, description text not null, target_url text not null,
    creator text not null, created text not null);
create index if not exists statuses_by_sha on statuses (repository, sha);
create table if not exists hooks (id integer primary key, repository integer not null, url text not null,
    secret text not null, events text not null, active integer not null, created text not null);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One repository; `folder` is its bare repository on disk."""

    id: int
    owner: str
    name: str
    default_branch: str
    created: str
    folder: Path

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A protected branch's rules (the part of Gitea's that the sandbox keeps)."""

    required_approvals: int = 0
    enable_push: bool = True
    push_whitelist_usernames: tuple[str, ...] = ()
    """With any names here, only these may push directly."""
    dismiss_stale_approvals: bool = False
    block_on_rejected_reviews: bool = False
    status_check_contexts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """One pull request as stored."""

    id: int
    repository: int
    number: int
    author: str
    title: str
    body: str
    head: str
    base: str
    head_sha: str
    base_sha: str
    """Of the base at the merge or close; '' while open."""
    state: str
    created: str
    updated: str
    closed: str | None
    closed_by: str
    merged: str | None
    merged_by: str
    merge_sha: str | None

    @property
    def draft(self) -> bool:
        """Gitea's notion: a prefix of the title."""
        return self.title.lower().startswith(("wip:", "[wip]"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One review."""

    id: int
    pull: int
    user: str
    state: str
    """APPROVED, REQUEST_CHANGES or COMMENT."""
    body: str
    commit_id: str
    official: bool
    """Counts towards required approvals (a later review by the same person takes its place)."""
    dismissed: bool
    created: str


def now() -> str:
    """The time as stored and shown: UTC, RFC 3339, to the second like Gitea's."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """All rows; one connection, used from one thread. Writes are durable when they return (synchronous=FULL)."""

    def __init__(self, state: Path) -> None:
        self.state = state
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = state / "forge.sqlite"
        file.touch(mode=0o600)
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside are one."""
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return found

    def insert(self, table: str, **values: object) -> int:
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        return self._db.execute(f"insert into {table} ({names}) values ({marks})", tuple(values.values())).lastrowid or 0  # noqa: S608 - names are ours

    def update(self, table: str, id: int, **values: object) -> None:  # noqa: A002 - the column's name
        sets = ", ".join(f"{name} = ?" for name in values)
        self._db.execute(f"update {table} set {sets} where id = ?", (*values.values(), id))  # noqa: S608 - names are ours

    def delete(self, table: str, id: int) -> None:  # noqa: A002 - the column's name
        self._db.execute(f"delete from {table} where id = ?", (id,))  # noqa: S608 - names are ours

    def setting(self, name: str) -> str:
        """A random secret under a name, made at first use."""
        found = self.row("select value from settings where name = ?", name)
        if found is None:
            self.insert("settings", name=name, value=secrets.token_hex(32))
            return self.setting(name)
        return str(found["value"])

    # users and teams

    def add_user(self, login: str) -> None:
        if self.row("select 1 from users where login = ?", login) is None:
            self.insert("users", login=login, token=secrets.token_hex(20))

    def users(self) -> dict[str, str]:
        """Login name to token."""
        return {row["login"]: row["token"] for row in self.rows("select login, token from users order by id")}

    def user_id(self, login: str) -> int:
        found = self.row("select id from users where login = ?", login)
        return int(found["id"]) if found else 0

    def set_team(self, org: str, name: str, members: Sequence[str]) -> None:
        self._db.execute(
            "insert into teams (org, name, members) values (?, ?, ?) on conflict do update set members = excluded.members",
            (org, name, json.dumps(list(members))),
        )

    def teams(self, org: str) -> list[dict[str, Any]]:
        rows = self.rows("select * from teams where org = ? order by id", org)
        return [{"id": row["id"], "name": row["name"], "members": json.loads(row["members"])} for row in rows]

    def team_members(self, team: int) -> list[str] | None:
        found = self.row("select members from teams where id = ?", team)
        return None if found is None else list(json.loads(found["members"]))

    # repositories

    def repositories(self) -> list[Repository]:
        return [self._repository(row) for row in self.rows("select * from repositories order by owner, name")]

    def repository(self, owner: str, name: str) -> Repository | None:
        found = self.row("select * from repositories where owner = ? collate nocase and name = ? collate nocase", owner, name)
        return None if found is None else self._repository(found)

    def _repository(self, row: sqlite3.Row) -> Repository:
        return Repository(**dict(row), folder=self.state / "repositories" / f"{row['id']}.git")

    def rules(self, repository: int, branch: str) -> Rules | None:
        found = self.row("select rules from protections where repository = ? and branch = ?", repository, branch)
        return None if found is None else _rules(found["rules"])

    def protections(self, repository: int) -> dict[str, Rules]:
        rows = self.rows("select branch, rules from protections where repository = ? order by branch", repository)
        return {row["branch"]: _rules(row["rules"]) for row in rows}

    def set_rules(self, repository: int, branch: str, rules: Rules | None) -> None:
        self._db.execute("delete from protections where repository = ? and branch = ?", (repository, branch))
        if rules is not None:
            stored = {name: getattr(rules, name) for name in Rules.__dataclass_fields__}
            self.insert("protections", repository=repository, branch=branch, rules=json.dumps(stored))

    # pull requests

    def pull(self, repository: int, number: int) -> Pull | None:
        found = self.row("select * from pulls where repository = ? and number = ?", repository, number)
        return None if found is None else Pull(**dict(found))

    def pulls(self, repository: int, state: str = "all") -> list[Pull]:
        rows = self.rows("select * from pulls where repository = ? order by number desc", repository)
        return [Pull(**dict(row)) for row in rows if state == "all" or row["state"] == state]

    def add_pull(self, repository: int, **values: object) -> Pull:
        with self.transaction():
            top = self.row("select coalesce(max(number), 0) as top from pulls where repository = ?", repository)
            number = int(top["top"]) + 1 if top else 1
            stamp = now()
            self.insert("pulls", repository=repository, number=number, state="open", created=stamp, updated=stamp, **values)
        made = self.pull(repository, number)
        assert made is not None
        return made

    def labels(self, repository: int) -> list[sqlite3.Row]:
        return self.rows("select * from labels where repository = ? order by name", repository)

    def pull_labels(self, pull: int) -> list[sqlite3.Row]:
        return self.rows(
            "select l.* from labels l join pull_labels p on p.label = l.id where p.pull = ? order by l.name collate nocase", pull
        )

    def set_pull_labels(self, pull: int, labels: Sequence[int]) -> None:
        with self.transaction():
            self._db.execute("delete from pull_labels where pull = ?", (pull,))
            for label in dict.fromkeys(labels):
                self.insert("pull_labels", pull=pull, label=label)

    def reviews(self, pull: int) -> list[Review]:
        found = [dict(row) for row in self.rows("select * from reviews where pull = ? order by id", pull)]
        return [Review(**{**row, "official": bool(row["official"]), "dismissed": bool(row["dismissed"])}) for row in found]

    def add_review(self, pull: int, *, user: str, state: str, body: str, commit_id: str) -> Review:
        """Add one; an approval or rejection takes the place of this person's earlier ones, which count as dismissed."""
        official = state in ("APPROVED", "REQUEST_CHANGES")
        with self.transaction():
            if official:
                decided = "pull = ? and user = ? and state in ('APPROVED', 'REQUEST_CHANGES')"
                self._db.execute(f"update reviews set official = 0, dismissed = 1 where {decided}", (pull, user))  # noqa: S608
            made = self.insert(
                "reviews", pull=pull, user=user, state=state, body=body, commit_id=commit_id, official=official, created=now()
            )
        return next(review for review in self.reviews(pull) if review.id == made)

    def dismiss_approvals(self, pull: int) -> None:
        """What was approved is no longer what is there."""
        self._db.execute("update reviews set dismissed = 1 where pull = ? and state = 'APPROVED'", (pull,))

    def statuses(self, repository: int, sha: str) -> list[sqlite3.Row]:
        """Newest first, every one ever set."""
        return self.rows("select * from statuses where repository = ? and sha = ? order by id desc", repository, sha)


def _rules(text: str) -> Rules:
    stored: dict[str, Any] = json.loads(text)
    known: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    return Rules(**{name: value for name, value in known.items() if name in Rules.__dataclass_fields__})
