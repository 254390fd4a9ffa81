"""What may happen to a pull request. In: an actor's wish. Out: the stored result and an event, or a Refusal.

The API and the pages both come here, so there is one set of rules: a head and a base that exist, one open pull request
per pair, nobody approves their own, nothing merges that is a draft, lacks approvals, conflicts, or moved.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from penstock.sandbox.forge.repositories import Bare, MergeStyle, MovedError
from penstock.sandbox.forge.smart_http import Push
from penstock.sandbox.forge.store import Pull, Repository, Review, Rules, Store, now

Event = Literal[
    "opened", "edited", "closed", "reopened", "synchronized", "label_updated", "reviewed", "commented", "pushed", "status"
]
_ZEROS = "0" * 40


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """The forge says no, with the HTTP status it says it with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happened, for webhooks and listeners."""

    event: Event
    repository: Repository
    user: str
    pull: Pull | None = None
    review: Review | None = None
    push: Push | None = None


class Pulls:
    """Pull requests of all repositories; `announce` hears of everything after it is stored."""

    def __init__(self, store: Store, announce: Callable[[Happening], None]) -> None:
        self.store = store
        self.announce = announce
        self._bares: dict[Path, Bare] = {}
        self._merging: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def bare(self, repository: Repository) -> Bare:
        """The repository's objects, opened once."""
        if repository.folder not in self._bares:
            self._bares[repository.folder] = Bare(repository.folder)
        return self._bares[repository.folder]

    def get(self, repository: Repository, number: int) -> Pull:
        found = self.store.pull(repository.id, number)
        if found is None:
            raise Refusal(404, f"pull request {number} does not exist")
        return found

    def head(self, repository: Repository, pull: Pull) -> str:
        """The commit a pull request stands at: its branch while it is open."""
        if pull.state != "open":
            return pull.head_sha
        return self.bare(repository).branch(pull.head) or pull.head_sha

    def base(self, repository: Repository, pull: Pull) -> str:
        """The commit of the base branch it goes to (or went to)."""
        return pull.base_sha or self.bare(repository).branch(pull.base) or ""

    def mergeable(self, repository: Repository, pull: Pull) -> bool:
        """Whether it would merge without conflict; False once it is closed, as Gitea has it."""
        base = self.base(repository, pull)
        return pull.state == "open" and bool(base) and not self.bare(repository).conflicts(base, self.head(repository, pull))

    def missing(self, repository: Repository, pull: Pull) -> str:
        """What the base branch's rules still want; '' when nothing."""
        rules = self.store.rules(repository.id, pull.base) or Rules()
        counted = [review for review in self.store.reviews(pull.id) if review.official and not review.dismissed]
        if rules.block_on_rejected_reviews and any(review.state == "REQUEST_CHANGES" for review in counted):
            return "There are requested changes"
        approvals = sum(review.state == "APPROVED" for review in counted)
        if approvals < rules.required_approvals:
            return f"Does not have enough approvals ({approvals} of {rules.required_approvals})"
        red = self._unmet_contexts(repository, pull, rules)
        return f"Not all required status checks successful: {', '.join(red)}" if red else ""

    def open(self, repository: Repository, user: str, *, title: str, body: str, head: str, base: str) -> Pull:
        bare = self.bare(repository)
        head_sha, base_sha = bare.branch(head), bare.branch(base)
        if head_sha is None or base_sha is None:
            raise Refusal(404, f"branch {base if head_sha else head!r} does not exist")
        if not title.strip():
            raise Refusal(422, "[Title]: Required")
        same = [pull for pull in self.store.pulls(repository.id, "open") if (pull.head, pull.base) == (head, base)]
        if same:
            raise Refusal(409, f"pull request already exists for these targets: {same[0].number}")
        if head == base:
            raise Refusal(422, "Invalid PullRequest: There are no changes between the head and the base")
        pull = self.store.add_pull(
            repository.id, author=user, title=title.strip(), body=body, head=head, base=base, head_sha=head_sha
        )
        self._tell("opened", repository, user, pull)
        return pull

    def edit(
        self, repository: Repository, user: str, pull: Pull, *, title: str | None, body: str | None, state: str | None
    ) -> Pull:
        changed: dict[str, object] = {}
        if title is not None and title.strip() and title.strip() != pull.title:
            changed["title"] = title.strip()
        if body is not None and body != pull.body:
            changed["body"] = body
        if changed:
            self.store.update("pulls", pull.id, **changed, updated=now())
            pull = self.get(repository, pull.number)
            self._tell("edited", repository, user, pull)
        if state is not None and state != pull.state:
            pull = self._set_state(repository, user, pull, state)
        return pull

    def _set_state(self, repository: Repository, user: str, pull: Pull, state: str) -> Pull:
        if pull.merged:
            raise Refusal(412, "cannot change state of this pull request, it was already merged")
        if state == "closed":
            return self.close(repository, user, pull)
        if state != "open":
            raise Refusal(422, f"state {state!r} is neither open nor closed")
        if self.bare(repository).branch(pull.head) is None:
            raise Refusal(422, "the head branch no longer exists")
        self.store.update("pulls", pull.id, state="open", closed=None, closed_by="", base_sha="", updated=now())
        pull = self.get(repository, pull.number)
        self._tell("reopened", repository, user, pull)
        return pull

    def close(self, repository: Repository, user: str, pull: Pull) -> Pull:
        stamp = now()
        kept = {"head_sha": self.head(repository, pull), "base_sha": self.base(repository, pull)}
        self.store.update("pulls", pull.id, state="closed", closed=stamp, closed_by=user, updated=stamp, **kept)
        pull = self.get(repository, pull.number)
        self._tell("closed", repository, user, pull)
        return pull

    def review(self, repository: Repository, user: str, pull: Pull, *, state: str, body: str, commit: str) -> Review:
        if state not in ("APPROVED", "REQUEST_CHANGES", "COMMENT"):
            raise Refusal(501, f"not in the sandbox: review event {state!r}")
        if pull.author == user and state != "COMMENT":
            verb = "approve" if state == "APPROVED" else "reject"
            raise Refusal(422, f"{verb} your own pull is not allowed")
        if state != "APPROVED" and not body.strip():
            raise Refusal(422, f"review event {state} requires a body")
        if pull.state != "open" and state != "COMMENT":
            raise Refusal(422, "can't submit review for a closed or merged PR")
        at = commit or self.head(repository, pull)
        made = self.store.add_review(pull.id, user=user, state=state, body=body, commit_id=at)
        self.announce(Happening(event="reviewed", repository=repository, user=user, pull=pull, review=made))
        return made

    def comment(self, repository: Repository, user: str, pull: Pull, body: str) -> int:
        if not body.strip():
            raise Refusal(422, "[Body]: Required")
        stamp = now()
        made = self.store.insert(
            "comments", repository=repository.id, pull=pull.id, user=user, body=body, created=stamp, updated=stamp
        )
        self._tell("commented", repository, user, pull)
        return made

    def set_labels(self, repository: Repository, user: str, pull: Pull, labels: Sequence[int]) -> None:
        self.store.set_pull_labels(pull.id, labels)
        self._tell("label_updated", repository, user, pull)

    async def merge(
        self,
        repository: Repository,
        user: str,
        pull: Pull,
        *,
        style: MergeStyle,
        sha: str,
        message: str,
        delete_branch: bool = False,
    ) -> str:
        """Merge at exactly `sha` ('' merges what is there); the new tip of the base."""
        async with self._merging[repository.id]:
            pull = self.get(repository, pull.number)
            self._may_merge(repository, pull, sha)
            base, made = self._merge_commit(repository, user, pull, style, message)
            # The intent goes to disk before the branch moves, so that a crash in between can be told apart (recover).
            self.store.update("pulls", pull.id, merge_sha=made, merged_by=user)
            try:
                self.bare(repository).move(pull.base, base, made)
            except MovedError as error:
                self.store.update("pulls", pull.id, merge_sha=None, merged_by="")
                raise Refusal(409, "merge push out of date") from error
            self._record_merge(repository, user, pull, base, made)
        if delete_branch:
            self.bare(repository).delete_branch(pull.head)
        return made

    def _may_merge(self, repository: Repository, pull: Pull, sha: str) -> None:
        if pull.merged:
            raise Refusal(405, "The PR is already merged")
        if pull.state != "open":
            raise Refusal(404, "the pull request is closed")
        if pull.draft:
            raise Refusal(405, "Work in progress PRs cannot be merged")
        if missing := self.missing(repository, pull):
            raise Refusal(405, missing)
        if sha and sha != self.head(repository, pull):
            raise Refusal(409, "head out of date")

    def _merge_commit(self, repository: Repository, user: str, pull: Pull, style: MergeStyle, message: str) -> tuple[str, str]:
        """The base's tip and the commit to move it to."""
        bare = self.bare(repository)
        base, head = bare.branch(pull.base), self.head(repository, pull)
        if base is None:
            raise Refusal(404, f"branch {pull.base!r} does not exist")
        if conflicts := bare.conflicts(base, head):
            raise Refusal(409, f"merge conflict in {', '.join(conflicts)}")
        text = message or f"{pull.title} (#{pull.number})"
        when = int(datetime.now(UTC).timestamp())
        return base, bare.merged(base, head, style=style, message=text, user=user, when=when)

    def _record_merge(
        self, repository: Repository, user: str, pull: Pull, base: str, made: str, *, by_push: bool = False
    ) -> None:
        """The base branch holds it now: the row follows."""
        stamp = now()
        closing = {"state": "closed", "closed": stamp, "closed_by": user, "updated": stamp}
        at = {"head_sha": self.head(repository, pull), "base_sha": base, "merge_sha": made}
        self.store.update("pulls", pull.id, merged=stamp, merged_by=user, **closing, **at)
        self._tell("closed", repository, user, self.get(repository, pull.number))
        ref = f"refs/heads/{pull.base}"
        push = Push(owner=repository.owner, repository=repository.name, ref=ref, before=base, after=made, user=user)
        self.announce(Happening(event="pushed", repository=repository, user=user, push=push))

    # pushes

    def judge(self, repository: Repository, user: str, asked: list[Push]) -> str | None:
        """Why a push is refused by a branch's rules, or None."""
        for push in asked:
            branch = push.ref.removeprefix("refs/heads/")
            rules = self.store.rules(repository.id, branch) if push.ref.startswith("refs/heads/") else None
            if push.ref.startswith("refs/internal"):
                return f"{push.ref} is the forge's own"
            if rules is None:
                continue
            if not rules.enable_push or (rules.push_whitelist_usernames and user not in rules.push_whitelist_usernames):
                return f"Not allowed to push to protected branch {branch}"
            if push.after == _ZEROS:
                return f"branch {branch} is protected from deletion"
        return None

    async def pushed(self, repository: Repository, asked: list[Push]) -> None:
        """Take note of what a push really did (git may have refused some of it) and tell everybody."""
        bare = self.bare(repository)
        for push in asked:
            now_at = bare.ref(push.ref) or _ZEROS
            if now_at != push.after:
                continue
            self.announce(Happening(event="pushed", repository=repository, user=push.user, push=push))
            self._follow(repository, push)

    def _follow(self, repository: Repository, push: Push) -> None:
        """Open pull requests from a branch go with it, and close when it is gone."""
        for pull in self.store.pulls(repository.id, "open"):
            if push.ref != f"refs/heads/{pull.head}":
                continue
            if push.after == _ZEROS:
                self.close(repository, push.user, pull)
                continue
            self._move_head(repository, pull, push.after)
            self._tell("synchronized", repository, push.user, self.get(repository, pull.number))

    def _move_head(self, repository: Repository, pull: Pull, head: str) -> None:
        rules = self.store.rules(repository.id, pull.base)
        with self.store.transaction():
            self.store.update("pulls", pull.id, head_sha=head, updated=now())
            if rules is not None and rules.dismiss_stale_approvals:
                self.store.dismiss_approvals(pull.id)

    def recover(self) -> None:
        """After a crash: bring rows up to what Git says (a push or merge is on disk before its row is)."""
        for repository in self.store.repositories():
            for pull in self.store.pulls(repository.id, "open"):
                self._recover(repository, pull)

    def _recover(self, repository: Repository, pull: Pull) -> None:
        bare = self.bare(repository)
        head, base = bare.branch(pull.head), bare.branch(pull.base)
        if base and pull.merge_sha and bare.contains(base, pull.merge_sha):
            made = bare.commit(pull.merge_sha)
            before = str(made.parent_ids[0]) if made and made.parent_ids else base
            self._record_merge(repository, pull.merged_by, pull, before, pull.merge_sha)
            return
        if pull.merge_sha:
            self.store.update("pulls", pull.id, merge_sha=None, merged_by="")
        if head is None:
            self.close(repository, pull.author, pull)
        elif head != pull.head_sha:
            self._move_head(repository, pull, head)

    def _unmet_contexts(self, repository: Repository, pull: Pull, rules: Rules) -> list[str]:
        newest: dict[str, str] = {}
        for row in self.store.statuses(repository.id, self.head(repository, pull)) if rules.status_check_contexts else ():
            newest.setdefault(row["context"], row["state"])
        return [context for context in rules.status_check_contexts if newest.get(context) != "success"]

    def _tell(self, event: Event, repository: Repository, user: str, pull: Pull) -> None:
        self.announce(Happening(event=event, repository=repository, user=user, pull=pull))
