"""The GitHub adapter against answers of the shapes GitHub publishes (not against GitHub)."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.adapters import forge as forges
from penstock.adapters.forge.github import roots
from penstock.model.errors import RaceError, RefusedError, TransientError
from penstock.model.values import CommitId
from penstock.ports.forge import CommitStatus

ROOT = "/api/v3/repos/octo/fleet"
HEAD, BASE, MADE = CommitId("a" * 40), CommitId("b" * 40), CommitId("c" * 40)


def pull(**changes: Any) -> dict[str, Any]:
    """A pull request with the fields that matter and a few of the many others."""
    user = {"login": "penstock[bot]", "id": 1, "type": "Bot", "site_admin": False}
    return {
        "url": "https://api.github.com/repos/octo/fleet/pulls/7", "id": 1, "node_id": "PR_abc", "number": 7, "state": "open",
        "locked": False, "title": "Promote web", "user": user, "body": None, "labels": [{"id": 1, "name": "penstock"}],
        "html_url": "https://github.com/octo/fleet/pull/7",
        "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:01:00Z",
        "closed_at": None, "merged_at": None, "merge_commit_sha": MADE, "draft": False, "auto_merge": None,
        "head": {"label": "octo:promote/web", "ref": "promote/web", "sha": HEAD, "user": user, "repo": {"id": 2}},
        "base": {"label": "octo:main", "ref": "main", "sha": BASE, "user": user, "repo": {"id": 2}},
    } | changes  # fmt: skip


def connect(scripted: Any) -> Any:
    return forges.connect("github", scripted.url, "octo/fleet", token="ghp_x")


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://api.github.com/", "https://api.github.com"),
        ("https://octo.ghe.com", "https://api.octo.ghe.com"),
        ("https://git.example.com/", "https://git.example.com/api/v3"),
        ("https://git.example.com/api/v3", "https://git.example.com/api/v3"),
    ],
)
def test_the_api_is_found_from_the_address_people_know(url: str, root: str) -> None:
    assert roots(url)[0] == root


async def test_a_pull_request_is_read(scripted: Any) -> None:
    scripted.on(f"GET {ROOT}/pulls/7", pull())
    async with connect(scripted) as forge:
        found = await forge.pull(7)
    assert (found.number, found.title, found.body, found.state, found.author) == (7, "Promote web", "", "open", "penstock[bot]")
    assert (found.head, found.head_sha, found.base, found.base_sha) == ("promote/web", HEAD, "main", BASE)
    assert (found.labels, found.draft) == (("penstock",), False)
    assert found.merge_sha is None, "before the merge GitHub shows the sha of a trial merge there"
    assert scripted.headers[0]["Authorization"] == "Bearer ghp_x"
    assert scripted.headers[0]["Accept"] == "application/vnd.github+json"
    assert scripted.headers[0]["X-GitHub-Api-Version"] == "2022-11-28"


async def test_a_merged_and_a_closed_one_say_who_did_it(scripted: Any) -> None:
    merged = pull(state="closed", merged_at="2026-03-02T15:00:00Z", merged_by={"login": "reviewer"})
    scripted.on(f"GET {ROOT}/pulls/7", merged, pull(state="closed"))
    scripted.on(f"GET {ROOT}/issues/7", {"number": 7, "closed_by": {"login": "ops"}})
    async with connect(scripted) as forge:
        first, second = await forge.pull(7), await forge.pull(7)
    assert (first.state, first.merge_sha, first.merged_by, first.closed_by) == ("merged", MADE, "reviewer", "reviewer")
    assert (second.state, second.merge_sha, second.merged_by, second.closed_by) == ("closed", None, "", "ops")


async def test_every_page_of_a_list_is_read_newest_first(scripted: Any) -> None:
    link = f'<{scripted.url}/api/v3/repositories/2/pulls?page=2>; rel="next"'.replace("repositories/2", "repos/octo/fleet")
    scripted.on(f"GET {ROOT}/pulls", (200, [pull(number=1)], {"Link": link}), [pull(number=2)])
    async with connect(scripted) as forge:
        found = await forge.pulls(state="all", head="promote/web")
    assert [one.number for one in found] == [2, 1]
    assert scripted.asked[0][1] == {"state": "all", "head": "octo:promote/web", "per_page": "100"}


async def test_one_that_exists_is_not_opened_again(scripted: Any) -> None:
    scripted.on(f"GET {ROOT}/pulls", [pull()])
    async with connect(scripted) as forge:
        found = await forge.open_pull(title="t", body="b", head="promote/web", base="main", draft=False, labels=())
    assert found.number == 7
    assert [name for name, _, _ in scripted.asked] == [f"GET {ROOT}/pulls"]


async def test_a_new_one_is_opened_with_its_labels(scripted: Any) -> None:
    scripted.on(f"GET {ROOT}/pulls", [])
    scripted.on(f"POST {ROOT}/pulls", (201, pull(labels=[])))
    scripted.on(f"PUT {ROOT}/issues/7/labels", [])
    scripted.on(f"GET {ROOT}/pulls/7", pull())
    async with connect(scripted) as forge:
        found = await forge.open_pull(title="t", body="b", head="promote/web", base="main", draft=True, labels=["penstock"])
    assert found.labels == ("penstock",)
    assert scripted.bodies(f"POST {ROOT}/pulls") == [
        {"title": "t", "body": "b", "head": "promote/web", "base": "main", "draft": True}
    ]
    assert scripted.bodies(f"PUT {ROOT}/issues/7/labels") == [{"labels": ["penstock"]}]


@pytest.mark.parametrize(
    "lost", [(422, {"message": "Validation Failed", "errors": [{"message": "exists"}]}), (502, {}), (200, "DROP")]
)
async def test_an_answer_lost_while_opening_is_looked_up(scripted: Any, lost: Any) -> None:
    scripted.on(f"GET {ROOT}/pulls", [], [pull()])
    scripted.on(f"POST {ROOT}/pulls", lost)
    async with connect(scripted) as forge:
        found = await forge.open_pull(title="t", body="b", head="promote/web", base="main", draft=False, labels=())
    assert found.number == 7
    assert len(scripted.bodies(f"POST {ROOT}/pulls")) == 1


async def test_what_github_will_not_open_is_refused_with_its_reasons(scripted: Any) -> None:
    scripted.on(f"GET {ROOT}/pulls", [])
    scripted.on(
        f"POST {ROOT}/pulls", (422, {"message": "Validation Failed", "errors": [{"message": "No commits between main and x"}]})
    )
    async with connect(scripted) as forge:
        with pytest.raises(RefusedError, match="Validation Failed; No commits between main and x"):
            await forge.open_pull(title="t", body="b", head="promote/web", base="main", draft=False, labels=())


async def test_a_draft_is_changed_by_graphql(scripted: Any) -> None:
    scripted.on(f"GET {ROOT}/pulls/7", pull(draft=True), pull(draft=False))
    scripted.on("POST /api/graphql", {"data": {"markPullRequestReadyForReview": {"clientMutationId": None}}})
    async with connect(scripted) as forge:
        assert (await forge.update_pull(7, draft=False)).draft is False
    asked = scripted.bodies("POST /api/graphql")[0]
    assert "markPullRequestReadyForReview" in asked["query"]
    assert asked["variables"] == {"id": "PR_abc"}


async def test_an_error_of_graphql_is_an_error(scripted: Any) -> None:
    scripted.on("POST /api/graphql", {"errors": [{"message": "Resource not accessible by integration"}]})
    async with connect(scripted) as forge:
        with pytest.raises(RefusedError, match="not accessible"):
            await forge.whoami()


async def test_a_merge_names_the_commit(scripted: Any) -> None:
    scripted.on(f"PUT {ROOT}/pulls/7/merge", {"sha": MADE, "merged": True, "message": "Pull Request successfully merged"})
    async with connect(scripted) as forge:
        assert await forge.merge_pull(7, sha=HEAD, method="squash", title="t", message="m") == MADE
    wanted = {"sha": HEAD, "merge_method": "squash", "commit_title": "t", "commit_message": "m"}
    assert scripted.bodies(f"PUT {ROOT}/pulls/7/merge") == [wanted]


@pytest.mark.parametrize(
    ("status", "after", "kind", "code"),
    [
        (409, pull(), RaceError, "Conflict"),
        (405, pull(mergeable_state="dirty"), RefusedError, "MergeConflict"),
        (405, pull(mergeable_state="blocked"), RefusedError, "NotAllowed"),
        (405, pull(mergeable_state="clean"), RaceError, "BaseMoved"),
        (405, pull(head={"ref": "promote/web", "sha": "d" * 40}), RaceError, "HeadMoved"),
        (500, pull(), TransientError, "ServerError"),
        (403, pull(), RefusedError, "Forbidden"),
    ],
)
async def test_a_merge_that_is_not_made_says_why(
    scripted: Any, status: int, after: Any, kind: type[Exception], code: str
) -> None:
    scripted.on(f"PUT {ROOT}/pulls/7/merge", (status, {"message": "Base branch was modified."}))
    scripted.on(f"GET {ROOT}/pulls/7", after)
    async with connect(scripted) as forge:
        with pytest.raises(kind) as failed:
            await forge.merge_pull(7, sha=HEAD, method="merge", title="t", message="m")
    assert failed.value.code == code  # type: ignore[attr-defined]


async def test_a_merge_whose_answer_was_lost_is_looked_up(scripted: Any) -> None:
    scripted.on(f"PUT {ROOT}/pulls/7/merge", (200, "DROP"))
    scripted.on(f"GET {ROOT}/pulls/7", pull(state="closed", merged_at="2026-03-02T15:00:00Z"))
    async with connect(scripted) as forge:
        assert await forge.merge_pull(7, sha=HEAD, method="merge", title="t", message="m") == MADE
    assert len(scripted.bodies(f"PUT {ROOT}/pulls/7/merge")) == 1


async def test_reviews_that_were_handed_in_count(scripted: Any) -> None:
    def review(number: int, state: str, **changes: Any) -> dict[str, Any]:
        when = f"2026-03-02T14:0{number}:00Z"
        return {
            "id": number,
            "user": {"login": "r"},
            "body": "",
            "state": state,
            "commit_id": HEAD,
            "submitted_at": when,
        } | changes

    pending = review(4, "PENDING")
    del pending["submitted_at"]
    ghost = review(5, "COMMENTED", user=None, body="hm")
    scripted.on(
        f"GET {ROOT}/pulls/7/reviews",
        [review(2, "APPROVED"), review(1, "CHANGES_REQUESTED"), review(3, "DISMISSED"), pending, ghost],
    )
    async with connect(scripted) as forge:
        found = await forge.reviews(7)
    assert [(one.user, one.state) for one in found] == [
        ("r", "changes_requested"), ("r", "approved"), ("r", "dismissed"), ("", "commented"),
    ]  # fmt: skip


async def test_statuses_and_check_runs_are_one_list(scripted: Any) -> None:
    def status(context: str, state: str) -> dict[str, Any]:
        return {"context": context, "state": state, "description": None, "target_url": None, "creator": {"login": "ci"}, "id": 1}

    scripted.on(f"GET {ROOT}/commits/{HEAD}/statuses", [status("a", "success"), status("a", "pending"), status("b", "error")])
    runs = [
        {
            "id": 1,
            "name": "build",
            "status": "completed",
            "conclusion": "neutral",
            "app": {"slug": "github-actions"},
            "details_url": "u",
        },
        {"id": 2, "name": "test", "status": "in_progress", "conclusion": None, "app": {"slug": "github-actions"}},
        {"id": 3, "name": "a", "status": "completed", "conclusion": "failure", "app": None},
    ]
    scripted.on(f"GET {ROOT}/commits/{HEAD}/check-runs", {"total_count": 3, "check_runs": runs})
    async with connect(scripted) as forge:
        found = {one.context: (one.state, one.creator) for one in await forge.statuses(HEAD)}
    assert found == {
        "a": ("success", "ci"),
        "b": ("error", "ci"),
        "build": ("success", "github-actions[bot]"),
        "test": ("pending", "github-actions[bot]"),
    }


async def test_a_status_fits_githubs_limits(scripted: Any) -> None:
    scripted.on(f"POST {ROOT}/statuses/{HEAD}", (201, {}))
    async with connect(scripted) as forge:
        await forge.set_status(HEAD, CommitStatus(context="penstock", state="warning", description="x" * 500))
    wanted = {"context": "penstock", "state": "success", "description": "x" * 140, "target_url": None}
    assert scripted.bodies(f"POST {ROOT}/statuses/{HEAD}") == [wanted]


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "60"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"}, {}]
)
async def test_a_limit_said_as_403_is_transient(scripted: Any, headers: dict[str, str]) -> None:
    scripted.on(f"POST {ROOT}/issues/7/comments", (403, {"message": "You have exceeded a secondary rate limit"}, headers))
    async with connect(scripted) as forge:
        with pytest.raises(TransientError) as limited:
            await forge.comment(7, "x")
    assert limited.value.code == "RateLimited"


async def test_a_team_is_asked_for_by_its_slug(scripted: Any) -> None:
    scripted.on("GET /api/v3/orgs/octo/teams/web/members", [{"login": "b"}, {"login": "a"}])
    async with connect(scripted) as forge:
        assert list(await forge.team_members("octo/web")) == ["a", "b"]


async def test_who_wrote_a_commit_is_the_account_that_github_found(scripted: Any) -> None:
    commit = {
        "sha": HEAD,
        "commit": {"author": {"name": "Mona", "email": "mona@example.com"}},
        "author": {"login": "mona", "id": 1},
    }
    scripted.on(f"GET {ROOT}/commits/{HEAD}", commit)
    scripted.on(f"GET {ROOT}/commits/{BASE}", commit | {"author": None})
    async with connect(scripted) as forge:
        assert [await forge.author(HEAD), await forge.author(BASE)] == ["mona", ""]
