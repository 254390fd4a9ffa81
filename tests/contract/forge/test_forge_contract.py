"""The Forge port, one suite on the sandbox forge and on a real Gitea: equal answers, equal refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from penstock.adapters import forge as forges
from penstock.adapters.forge import webhooks
from penstock.adapters.forge.local_gitea import LocalGitea
from penstock.model.errors import RaceError, RefusedError, TransientError
from penstock.model.values import CommitId
from penstock.ports.forge import CommitStatus, Forge, PullRequest, StatusState
from penstock.ports.repo import Signature

AUTHOR = Signature(name="Dev", email="dev@example.com", when=datetime(2026, 3, 2, 14, 0, tzinfo=UTC))
MakeFleet = Callable[..., Awaitable[Any]]
FILE = "clusters/dev/app.yaml"


async def proposed(
    fleet: Any, forge: Forge, *, head: str = "promote/web", title: str = "Promote web", **more: Any
) -> PullRequest:
    """A base with one file and an open pull request that changes it."""
    base = await fleet.push("main", {FILE: b"replicas: 1\n"}, base=None, message="base")
    await fleet.push(head, {FILE: b"replicas: 2\n"}, base=base, message="more")
    wanted = {"draft": False, "labels": (), "body": "because"} | more
    return await forge.open_pull(title=title, head=head, base="main", **wanted)


async def test_we_know_who_we_are(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    assert await (await fleet.forge("penstock")).whoami() == "penstock"
    assert await (await fleet.forge("reviewer")).whoami() == "reviewer"


async def test_an_opened_pull_request_says_what_it_is(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    base = await fleet.push("main", {FILE: b"replicas: 1\n"}, base=None)
    head = await fleet.push("promote/web", {FILE: b"replicas: 2\n"}, base=base)

    pull = await forge.open_pull(
        title="Promote web: dev → staging",
        body="**same** as `dev`",
        head="promote/web",
        base="main",
        draft=False,
        labels=["penstock"],
    )

    assert (pull.title, pull.body, pull.state, pull.draft) == ("Promote web: dev → staging", "**same** as `dev`", "open", False)
    assert (pull.head, pull.head_sha, pull.base, pull.base_sha) == ("promote/web", head, "main", base)
    assert (pull.author, pull.labels, pull.merged, pull.merge_sha) == ("penstock", ("penstock",), None, None)
    assert pull.url.endswith(f"/{fleet.repo}/pulls/{pull.number}")
    assert pull.created.tzinfo is not None
    assert await forge.pull(pull.number) == pull


async def test_opening_the_same_pull_request_twice_gives_the_one_there_is(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    first = await proposed(fleet, forge)
    again = await forge.open_pull(title="other words", body="", head="promote/web", base="main", draft=False, labels=())
    assert (again.number, again.title) == (first.number, first.title)
    assert len(await forge.pulls(state="all")) == 1


async def test_two_who_open_the_same_pull_request_at_once_get_one(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    base = await fleet.push("main", {FILE: b"replicas: 1\n"}, base=None)
    await fleet.push("promote/web", {FILE: b"replicas: 2\n"}, base=base)
    wanted = {"title": "t", "body": "", "head": "promote/web", "base": "main", "draft": False, "labels": ()}
    opened = await asyncio.gather(*(forge.open_pull(**wanted) for _ in range(4)))
    left = await forge.pulls()
    assert [pull.number for pull in left] == [min(pull.number for pull in opened)]


async def test_a_pull_request_of_a_branch_into_itself_is_refused(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    await fleet.push("main", {FILE: b"replicas: 1\n"}, base=None)
    with pytest.raises(RefusedError) as refused:
        await forge.open_pull(title="t", body="", head="main", base="main", draft=False, labels=())
    assert refused.value.status == 422


async def test_a_pull_request_of_a_branch_that_is_not_there_is_refused(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    await fleet.push("main", {FILE: b"replicas: 1\n"}, base=None)
    with pytest.raises(RefusedError) as refused:
        await forge.open_pull(title="t", body="", head="nowhere", base="main", draft=False, labels=())
    assert refused.value.status == 404


async def test_a_merge_pushed_by_hand_leaves_the_pull_request_open(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge)
    mirror = fleet.mirror("developer", "by-hand")
    await mirror.fetch()
    await mirror.push("main", pull.head_sha, expect=pull.base_sha)
    later = await forge.pull(pull.number)
    assert (later.state, later.head_sha) == ("open", pull.head_sha)


async def test_lists_are_newest_first_by_state_and_by_branch(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    base = await fleet.push("main", {FILE: b"replicas: 1\n"}, base=None)
    pulls = []
    for number in range(3):
        head = f"promote/app-{number}"
        await fleet.push(head, {f"app-{number}": b"x\n"}, base=base)
        pulls.append(await forge.open_pull(title=head, body="", head=head, base="main", draft=False, labels=()))
    await forge.update_pull(pulls[0].number, state="closed")

    async def names(**query: Any) -> list[str]:
        return [pull.head for pull in await forge.pulls(**query)]

    assert await names() == ["promote/app-2", "promote/app-1"]
    assert await names(state="closed") == ["promote/app-0"]
    assert await names(state="all") == ["promote/app-2", "promote/app-1", "promote/app-0"]
    assert await names(state="all", head="promote/app-1") == ["promote/app-1"]
    assert await names(head="promote/app-0") == []


async def test_what_is_given_changes_and_the_rest_stays(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge, labels=["a", "b"])

    after = await forge.update_pull(pull.number, body="new words")
    assert (after.title, after.body, after.labels, after.state) == ("Promote web", "new words", ("a", "b"), "open")
    after = await forge.update_pull(pull.number, labels=["b", "c"])
    assert (after.body, after.labels) == ("new words", ("b", "c"))
    after = await forge.update_pull(pull.number, labels=[])
    assert after.labels == ()
    after = await forge.update_pull(pull.number, title="Other", body="")
    assert (after.title, after.body) == ("Other", "")


async def test_a_draft_becomes_ready_and_keeps_its_title(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge, draft=True)
    assert (pull.draft, pull.title) == (True, "Promote web")
    with pytest.raises(RefusedError):
        await forge.merge_pull(pull.number, sha=pull.head_sha, method="merge", title="t", message="")

    ready = await forge.update_pull(pull.number, draft=False)
    assert (ready.draft, ready.title) == (False, "Promote web")
    renamed = await forge.update_pull(pull.number, title="Better")
    assert (renamed.draft, renamed.title) == (False, "Better")
    back = await forge.update_pull(pull.number, draft=True)
    assert (back.draft, back.title) == (True, "Better")


async def test_closing_says_who_closed_and_it_can_be_opened_again(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    ours, theirs = await fleet.forge("penstock"), await fleet.forge("reviewer")
    pull = await proposed(fleet, ours)

    closed = await theirs.update_pull(pull.number, state="closed")
    assert (closed.state, closed.closed_by, closed.merged) == ("closed", "reviewer", None)
    assert (await ours.pull(pull.number)).closed_by == "reviewer"
    with pytest.raises(RefusedError):
        await ours.merge_pull(pull.number, sha=pull.head_sha, method="merge", title="t", message="")

    opened = await ours.update_pull(pull.number, state="open")
    assert (opened.state, opened.closed_by) == ("open", "")


async def test_after_a_close_the_same_branch_opens_a_new_one(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge)
    await forge.update_pull(pull.number, state="closed")
    again = await forge.open_pull(title="t", body="", head="promote/web", base="main", draft=False, labels=())
    assert again.number > pull.number


async def test_a_push_moves_the_head(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge)
    moved = await fleet.push("promote/web", {FILE: b"replicas: 3\n"}, base=pull.head_sha)
    await until(lambda: has_head(forge, pull.number, moved))


async def test_a_deleted_branch_closes_its_pull_request(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge)
    mirror = fleet.mirror("developer", "delete")
    await mirror.fetch()
    await mirror.push("promote/web", None, expect=pull.head_sha)

    async def gone() -> bool:
        return (await forge.pull(pull.number)).state == "closed"

    await until(gone)
    assert (await forge.pull(pull.number)).head_sha == pull.head_sha


async def test_a_merge_happens_at_the_commit_that_was_asked_for(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge)
    moved = await fleet.push("promote/web", {FILE: b"replicas: 3\n"}, base=pull.head_sha)
    await until(lambda: has_head(forge, pull.number, moved))

    with pytest.raises(RaceError):
        await forge.merge_pull(pull.number, sha=pull.head_sha, method="merge", title="stale", message="")
    assert (await forge.pull(pull.number)).state == "open"

    made = await forge.merge_pull(pull.number, sha=moved, method="merge", title="Promote web (#1)", message="Penstock-Digest: x")
    after = await forge.pull(pull.number)
    assert (after.state, after.merge_sha, after.merged_by, after.closed_by, after.head_sha) == (
        "merged", made, "penstock", "penstock", moved,
    )  # fmt: skip
    assert after.merged is not None
    mirror = fleet.mirror("reviewer")
    await mirror.fetch()
    commit = mirror.commit(made)
    assert mirror.branches()["main"] == made
    assert commit.parents == (pull.base_sha, moved)
    assert commit.subject == "Promote web (#1)"
    assert "Penstock-Digest: x" in commit.message
    assert mirror.tree(made).read(FILE) == b"replicas: 3\n"


async def test_a_squash_is_one_commit_and_keeps_the_trailers(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge)
    trailers = "Penstock-Promotion: web dev@abc -> staging\nPenstock-Digest: sha256:1"
    made = await forge.merge_pull(pull.number, sha=pull.head_sha, method="squash", title="Promote web", message=trailers)
    mirror = fleet.mirror("reviewer")
    await mirror.fetch()
    commit = mirror.commit(made)
    assert commit.parents == (pull.base_sha,)
    assert commit.subject == "Promote web"
    assert trailers in commit.message
    assert (await forge.pull(pull.number)).merge_sha == made


async def test_a_second_merge_is_refused(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge)
    await forge.merge_pull(pull.number, sha=pull.head_sha, method="merge", title="once", message="")
    with pytest.raises(RefusedError):
        await forge.merge_pull(pull.number, sha=pull.head_sha, method="merge", title="twice", message="")


async def test_a_conflict_is_refused_and_nothing_moves(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge)
    there = await fleet.push("main", {FILE: b"replicas: 9\n"}, base=pull.base_sha)
    with pytest.raises(RefusedError) as refused:
        await forge.merge_pull(pull.number, sha=pull.head_sha, method="merge", title="t", message="")
    assert refused.value.code == "MergeConflict"
    mirror = fleet.mirror("reviewer")
    await mirror.fetch()
    assert mirror.branches()["main"] == there


async def test_nothing_merges_without_the_approvals_the_branch_wants(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet(required_approvals=1, push_whitelist=("developer",))
    ours, theirs = await fleet.forge("penstock"), await fleet.forge("reviewer")
    pull = await proposed(fleet, ours)
    with pytest.raises(RefusedError) as refused:
        await ours.merge_pull(pull.number, sha=pull.head_sha, method="merge", title="t", message="")
    assert refused.value.status == 405

    await theirs.review(pull.number, state="changes_requested", commit=pull.head_sha, body="no")
    with pytest.raises(RefusedError):
        await ours.merge_pull(pull.number, sha=pull.head_sha, method="merge", title="t", message="")

    await theirs.review(pull.number, state="approved", commit=pull.head_sha)
    made = await ours.merge_pull(pull.number, sha=pull.head_sha, method="merge", title="t", message="")
    assert (await ours.pull(pull.number)).merge_sha == made


async def test_who_may_not_push_to_a_protected_branch_is_told_so(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet(required_approvals=1, push_whitelist=("developer",))
    base = await fleet.push("main", {FILE: b"1\n"}, base=None)
    mirror = fleet.mirror("penstock", "own")
    await mirror.fetch()
    made = mirror.write_commit([base], {FILE: b"2\n"}, message="past the review", author=AUTHOR)
    for asked in (made, None):
        with pytest.raises(RefusedError) as refused:
            await mirror.push("main", asked, expect=base)
        assert refused.value.code == "PushRefused"
    await mirror.push("promote/web", made, expect=None)
    await mirror.fetch()
    assert mirror.branches()["main"] == base


async def test_an_approval_is_void_after_a_push(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet(required_approvals=1, push_whitelist=("developer",))
    ours, theirs = await fleet.forge("penstock"), await fleet.forge("reviewer")
    pull = await proposed(fleet, ours)
    await theirs.review(pull.number, state="approved", commit=pull.head_sha)
    moved = await fleet.push("promote/web", {FILE: b"replicas: 66\n"}, base=pull.head_sha)
    await until(lambda: has_head(ours, pull.number, moved))

    async def dismissed() -> bool:
        return [one.state for one in await ours.reviews(pull.number)] == ["dismissed"]

    await until(dismissed)
    with pytest.raises(RefusedError):
        await ours.merge_pull(pull.number, sha=moved, method="merge", title="t", message="")


async def test_nobody_approves_their_own(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge)
    with pytest.raises(RefusedError) as refused:
        await forge.review(pull.number, state="approved", commit=pull.head_sha)
    assert refused.value.status == 422
    assert list(await forge.reviews(pull.number)) == []


async def test_reviews_come_in_order_with_their_commit(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    ours = await fleet.forge("penstock")
    pull = await proposed(fleet, ours)
    await (await fleet.forge("reviewer")).review(pull.number, state="changes_requested", commit=pull.head_sha, body="too many")
    await (await fleet.forge("developer")).review(pull.number, state="commented", commit=pull.head_sha, body="hm")
    await (await fleet.forge("reviewer")).review(pull.number, state="approved", commit=pull.head_sha, body="fine")
    found = [(one.user, one.state, one.commit, one.body) for one in await ours.reviews(pull.number)]
    assert found == [  # a person's newest word takes the place of the earlier ones
        ("reviewer", "dismissed", pull.head_sha, "too many"),
        ("developer", "commented", pull.head_sha, "hm"),
        ("reviewer", "approved", pull.head_sha, "fine"),
    ]


async def test_comments_are_kept_in_order_and_can_be_replaced(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    pull = await proposed(fleet, forge)
    first = await forge.comment(pull.number, "one ✔")
    await (await fleet.forge("reviewer")).comment(pull.number, "two")
    await forge.update_comment(first.id, "one, again")
    found = [(one.user, one.body) for one in await forge.comments(pull.number)]
    assert found == [("penstock", "one, again"), ("reviewer", "two")]


async def test_a_status_is_the_newest_of_its_context_and_names_who_set_it(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    ours, theirs = await fleet.forge("penstock"), await fleet.forge("reviewer")
    sha = await fleet.push("main", {FILE: b"x\n"}, base=None)
    assert list(await ours.statuses(sha)) == []
    await ours.set_status(sha, CommitStatus(context="penstock/healthy", state="pending", description="11 of 30 min"))
    await theirs.set_status(sha, CommitStatus(context="ci", state="failure", description="red", url="http://ci.example/1"))
    await ours.set_status(sha, CommitStatus(context="penstock/healthy", state="success", description="30 of 30 min"))
    found = [(one.context, one.state, one.description, one.url, one.creator) for one in await ours.statuses(sha)]
    assert found == [
        ("ci", "failure", "red", "http://ci.example/1", "reviewer"),
        ("penstock/healthy", "success", "30 of 30 min", "", "penstock"),
    ]


async def test_long_lists_are_complete(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    sha = await fleet.push("main", {FILE: b"x\n"}, base=None)
    wanted = [f"context-{number:03}" for number in range(110)]
    for context in wanted:
        await forge.set_status(sha, CommitStatus(context=context, state="success", description=""))
    assert [one.context for one in await forge.statuses(sha)] == wanted


async def test_a_team_has_its_members(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    assert list(await forge.team_members("web")) == ["developer", "reviewer"]
    with pytest.raises(RefusedError):
        await forge.team_members("we")


async def test_what_is_not_there_is_refused(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge()
    with pytest.raises(RefusedError) as refused:
        await forge.pull(99)
    assert refused.value.status == 404
    with pytest.raises(RefusedError):
        await forge.update_pull(99, body="x")


async def test_a_wrong_token_is_refused_without_being_shown(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    canary = "c0ffee" * 6 + "cafe"
    with pytest.raises(RefusedError) as refused:
        await (await fleet.forge(token=canary)).pulls()
    assert refused.value.status == 401
    assert canary not in str(refused.value)


async def test_a_forge_that_does_not_answer_is_transient() -> None:
    async with forges.connect("gitea", "http://127.0.0.1:9", "platform/fleet", token="t") as forge:
        with pytest.raises(TransientError):
            await forge.comment(1, "x")


async def test_webhooks_are_signed_and_say_what_happened(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    seen: list[webhooks.Event] = []
    real = isinstance(fleet.server, LocalGitea)

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        assert webhooks.genuine("gitea", request.headers, body, "s3cret")
        assert not webhooks.genuine("gitea", request.headers, body + b" ", "s3cret")
        assert not webhooks.genuine("gitea", request.headers, body, "other")
        # Flux's Receivers have no type gitea: whoever uses one takes github, whose headers a Gitea sends too
        assert real is False or webhooks.genuine("github", request.headers, body, "s3cret")
        seen.append(webhooks.read(request.headers, body))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook = {
            "type": "gitea",
            "active": True,
            "events": ["push", "pull_request"],
            "config": {"url": f"http://127.0.0.1:{runner.addresses[0][1]}/hook", "content_type": "json", "secret": "s3cret"},
        }
        url = f"{fleet.server.url}/api/v1/repos/{fleet.repo}/hooks"
        admin = getattr(fleet.server, "tokens", {}).get("root-admin") or fleet.server.token("penstock")
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, json=hook, headers={"Authorization": f"token {admin}"}) as made,
        ):
            assert made.status == 201, await made.text()
        forge = await fleet.forge()
        pull = await proposed(fleet, forge)

        async def told() -> bool:
            pushed = {(one.ref, one.after) for one in seen if one.kind == "push"}
            opened = {one.number for one in seen if one.kind == "pull_request"}
            return ("refs/heads/promote/web", pull.head_sha) in pushed and pull.number in opened

        await until(told)
        assert {one.repository for one in seen} == {fleet.repo}
        assert all(one.delivery for one in seen)
    finally:
        await runner.cleanup()


class Raw:
    """The REST API itself, as somebody who owns the repository."""

    def __init__(self, fleet: Any) -> None:
        self.root = f"{fleet.server.url}/api/v1/repos/{fleet.repo}"
        owner = getattr(fleet.server, "tokens", {}).get("root-admin") or fleet.server.token("penstock")
        self.headers = {"Authorization": f"token {owner}"}

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession(headers=self.headers) as http,
            http.request(method, self.root + path, json=body) as answer,
        ):
            text = await answer.text()
            return answer.status, json.loads(text) if text else None


async def test_rules_of_a_branch_are_set_changed_and_taken_away(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    raw = Raw(fleet)
    await fleet.push("main", {FILE: b"1\n"}, base=None)
    wanted = {"rule_name": "main", "enable_push": True, "required_approvals": 2, "dismiss_stale_approvals": True}
    shown = ("rule_name", "enable_push", "required_approvals", "dismiss_stale_approvals", "block_on_rejected_reviews")

    status, made = await raw("POST", "/branch_protections", wanted)
    assert (status, [made[key] for key in shown]) == (201, ["main", True, 2, True, False])
    status, _ = await raw("POST", "/branch_protections", wanted)
    assert status == 403
    status, edited = await raw("PATCH", "/branch_protections/main", {"required_approvals": 1, "block_on_rejected_reviews": True})
    assert (status, [edited[key] for key in shown]) == (200, ["main", True, 1, True, True])
    status, listed = await raw("GET", "/branch_protections")
    assert (status, [[rule[key] for key in shown] for rule in listed]) == (200, [["main", True, 1, True, True]])
    status, branch = await raw("GET", "/branches/main")
    assert (status, branch["protected"], branch["required_approvals"]) == (200, True, 1)
    assert (await raw("DELETE", "/branch_protections/main"))[0] == 204
    assert (await raw("GET", "/branch_protections/main"))[0] == 404
    assert (await raw("GET", "/branches/main"))[1]["protected"] is False


async def test_branches_labels_and_hooks_answer_alike(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    raw = Raw(fleet)
    base = await fleet.push("main", {FILE: b"1\n"}, base=None)
    await fleet.push("promote/web", {FILE: b"2\n"}, base=base)
    status, found = await raw("GET", "/branches")
    assert (status, sorted(branch["name"] for branch in found)) == (200, ["main", "promote/web"])
    status, branch = await raw("GET", "/branches/main")
    assert (status, branch["commit"]["id"]) == (200, base)
    assert (await raw("DELETE", "/branches/promote/web"))[0] == 204
    assert (await raw("GET", "/branches/promote/web"))[0] == 404
    assert (await raw("DELETE", "/branches/main"))[0] == 403
    assert (await raw("GET", f"/git/commits/{base}"))[1]["sha"] == base

    status, label = await raw("POST", "/labels", {"name": "penstock", "color": "#00AABB"})
    assert (status, label["name"], label["color"]) == (201, "penstock", "00aabb")
    hook = {"type": "gitea", "active": True, "events": ["push"], "config": {"url": "http://127.0.0.1:9/", "content_type": "json"}}
    status, made = await raw("POST", "/hooks", hook)
    assert (status, made["events"], made["active"], made["config"]["url"]) == (201, ["push"], True, "http://127.0.0.1:9/")
    assert len((await raw("GET", "/hooks"))[1]) == 1
    assert (await raw("DELETE", f"/hooks/{made['id']}"))[0] == 204
    assert (await raw("GET", "/hooks"))[1] == []


async def test_the_combined_status_is_green_only_when_all_are(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    raw, forge = Raw(fleet), await fleet.forge()
    sha = await fleet.push("main", {FILE: b"1\n"}, base=None)
    assert (await raw("GET", f"/commits/{sha}/status"))[1]["state"] in ("", "pending")
    steps: list[tuple[str, StatusState, str]] = [
        ("a", "success", "success"), ("b", "pending", "pending"), ("b", "warning", "failure"), ("b", "success", "success"),
        ("c", "error", "failure"),
    ]  # fmt: skip
    for context, state, combined in steps:
        await forge.set_status(sha, CommitStatus(context=context, state=state, description=""))
        status, found = await raw("GET", f"/commits/{sha}/status")
        assert (status, found["state"]) == (200, combined)
    assert found["total_count"] == 3


async def test_what_a_pull_request_changes_is_listed(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    raw, forge = Raw(fleet), await fleet.forge()
    files: dict[str, bytes | None] = {"a": b"1\n2\n", "b": b"x\n", "c": b"long enough to be seen as the same file\n" * 3}
    base = await fleet.push("main", files, base=None)
    changes: dict[str, bytes | None] = {"a": b"1\n3\n4\n", "b": None, "c": None, "d": files["c"], "e": b"new\n"}
    head = await fleet.push("promote/web", changes, base=base)
    pull = await forge.open_pull(title="t", body="", head="promote/web", base="main", draft=False, labels=())
    status, found = await raw("GET", f"/pulls/{pull.number}/files")
    shown = {(one["filename"], one["status"], one["additions"], one["deletions"]) for one in found}
    assert status == 200
    assert shown == {("a", "changed", 2, 1), ("b", "deleted", 0, 1), ("d", "renamed", 0, 0), ("e", "added", 1, 0)}
    status, commits = await raw("GET", f"/pulls/{pull.number}/commits")
    assert (status, [one["sha"] for one in commits]) == (200, [head])


async def has_head(forge: Forge, number: int, sha: CommitId) -> bool:
    return (await forge.pull(number)).head_sha == sha


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    """Wait for something a forge does in the background."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.05)


async def test_who_wrote_a_commit_is_known_by_the_address(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet()
    forge = await fleet.forge("penstock")
    base = await fleet.push("main", {FILE: b"replicas: 1\n"}, base=None)
    assert await forge.author(base) == ""
    mirror = fleet.mirror("developer", "known")
    await mirror.fetch()
    known = Signature(name="Anybody", email="developer@localhost.invalid", when=AUTHOR.when)
    made = mirror.write_commit([base], {FILE: b"replicas: 2\n"}, message="more", author=known)
    await mirror.push("main", made, expect=base)
    assert await forge.author(made) == "developer"
    with pytest.raises(RefusedError):
        await forge.author(CommitId("1" * 40))
