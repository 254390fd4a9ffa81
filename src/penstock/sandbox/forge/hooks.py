"""Events out to webhooks. In: happenings. Out: signed POST requests in Gitea's format, retried a few times.

Delivery is best effort, as on every forge: who listens must also poll. Nothing waits for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from typing import Any

import aiohttp

from penstock.sandbox.forge.pulls import Happening
from penstock.sandbox.forge.shapes import Shapes
from penstock.sandbox.forge.store import Store

_TRIES = 3
_QUEUED = 1000
_EVENTS = {
    "pushed": ("push", "push"),
    "opened": ("pull_request", "pull_request"),
    "edited": ("pull_request", "pull_request"),
    "closed": ("pull_request", "pull_request"),
    "reopened": ("pull_request", "pull_request"),
    "synchronized": ("pull_request", "pull_request_sync"),
    "label_updated": ("pull_request", "pull_request_label"),
    "status": ("status", "status"),
}
"""Happening to (X-Gitea-Event, X-Gitea-Event-Type); reviews and comments are worked out below."""
_REVIEWS = {"APPROVED": "approved", "REQUEST_CHANGES": "rejected", "COMMENT": "comment"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One request to send."""

    url: str
    secret: str
    event: str
    kind: str
    body: bytes


class Hooks:
    """Turns happenings into deliveries, and sends them while `run` runs."""

    def __init__(self, store: Store, shapes: Shapes) -> None:
        self._store = store
        self._shapes = shapes
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue(_QUEUED)

    def announce(self, happening: Happening) -> None:
        """Queue it for every hook that wants it (a full queue drops: listeners poll as well)."""
        rows = self._store.rows("select * from hooks where repository = ? and active = 1", happening.repository.id)
        if not rows:
            return
        event, kind = _named(happening)
        body = json.dumps(self._payload(happening), indent=2).encode()
        for row in rows:
            wanted = json.loads(row["events"])
            if (event in wanted or kind in wanted or "*" in wanted) and not self._queue.full():
                self._queue.put_nowait(Delivery(url=row["url"], secret=row["secret"], event=event, kind=kind, body=body))

    async def run(self) -> None:
        """Send until cancelled."""
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            while True:
                delivery = await self._queue.get()
                for attempt in range(_TRIES):
                    if await _send(session, delivery):
                        break
                    await asyncio.sleep(0.2 * 4**attempt)

    def _payload(self, happening: Happening) -> dict[str, Any]:
        shapes, repository = self._shapes, happening.repository
        shared = {"repository": shapes.repository(repository), "sender": shapes.user(happening.user)}
        if happening.push is not None:
            push = happening.push
            moved = {"ref": push.ref, "before": push.before, "after": push.after, "compare_url": ""}
            return {**moved, "commits": [], "total_commits": 0, "head_commit": None, "pusher": shapes.user(push.user), **shared}
        if happening.pull is None:
            return shared
        pull = happening.pull
        found: dict[str, Any] = {
            "action": "reviewed" if happening.review else happening.event,
            "number": pull.number,
            "pull_request": shapes.pull(repository, pull),
            "commit_id": "",
            "review": None,
            **shared,
        }
        if happening.review:
            review = happening.review
            found["review"] = {"type": f"pull_request_review_{_REVIEWS[review.state]}", "content": review.body}
            found["commit_id"] = review.commit_id
        return found


def _named(happening: Happening) -> tuple[str, str]:
    if happening.review is not None:
        word = _REVIEWS[happening.review.state]
        return f"pull_request_{word}", f"pull_request_review_{word}"
    if happening.event == "commented":
        return "issue_comment", "pull_request_comment"
    return _EVENTS[happening.event]


async def _send(session: aiohttp.ClientSession, delivery: Delivery) -> bool:
    signature = hmac.new(delivery.secret.encode(), delivery.body, hashlib.sha256).hexdigest() if delivery.secret else ""
    headers = {
        "Content-Type": "application/json",
        "X-Gitea-Delivery": str(uuid.uuid4()),
        "X-Gitea-Event": delivery.event,
        "X-Gitea-Event-Type": delivery.kind,
        "X-Gitea-Signature": signature,
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    try:
        async with session.post(delivery.url, data=delivery.body, headers=headers, allow_redirects=False) as response:
            return response.status < 500
    except (aiohttp.ClientError, TimeoutError):
        return False
