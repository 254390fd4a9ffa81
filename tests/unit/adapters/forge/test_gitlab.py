"""The GitLab adapter against answers of the shapes GitLab publishes (not against GitLab)."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.adapters import forge as forges
from penstock.adapters.forge import gitlab
from penstock.model.errors import RaceError, RefusedError, TransientError
from penstock.model.values import CommitId
from penstock.ports.forge import CommitStatus

ROOT = "/api/v4/projects/group%2Fsub%2Ffleet"
HEAD, BASE, MADE = CommitId("a" * 40), CommitId("b" * 40), CommitId("c" * 40)


def merge(**changes: Any) -> dict[str, Any]:
    return {
        "id": 1001, "iid": 7, "project_id": 3, "title": "Promote web", "description": "because", "state": "opened",
        "created_at": "2026-03-02T14:00:00.123Z", "updated_at": "2026-03-02T14:01:00.000Z", "merged_at": None, "closed_at": None,
        "merge_user": None, "closed_by": None, "source_branch": "promote/web", "target_branch": "main", "sha": HEAD,
        "author": {"id": 1, "username": "penstock", "name": "Penstock", "state": "active"}, "labels": ["b", "a"], "draft": False,
        "detailed_merge_status": "mergeable", "merge_commit_sha": None, "squash_commit_sha": None,
        "web_url": "https://gitlab.example.com/group/sub/fleet/-/merge_requests/7",
        "diff_refs": {"base_sha": BASE, "head_sha": HEAD, "start_sha": BASE},
    } | changes  # fmt: skip


MERGED = merge(state="merged", merged_at="2026-03-02T15:00:00Z", merge_user={"username": "reviewer"}, merge_commit_sha=MADE)


def connect(scripted: Any) -> Any:
    return forges.connect("gitlab", scripted.url, "group/sub/fleet", token="glpat-x")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitlab, "_CHECKING_PAUSE", 0.0)


async def test_a_merge_request_is_read_as_a_pull_request(scripted: Any) -> None:
    scripted.on(f"GET {ROOT}/merge_requests/7", merge(title="Draft: Promote web", draft=True))
    async with connect(scripted) as forge:
        found = await forge.pull(7)
    assert (found.number, found.title, found.draft, found.state, found.labels) == (7, "Promote web", True, "open", ("a", "b"))
    assert (found.head, found.head_sha, found.base, found.base_sha, found.author) == (
        "promote/web",
        HEAD,
        "main",
        BASE,
        "penstock",
    )
    assert scripted.headers[0]["Authorization"] == "Bearer glpat-x"


@pytest.mark.parametrize(
    ("answer", "made"),
    [
        (MERGED, MADE),
        (MERGED | {"merge_commit_sha": None, "squash_commit_sha": "d" * 40}, "d" * 40),
        (MERGED | {"merge_commit_sha": None}, HEAD),
    ],
)
async def test_the_commit_on_the_target_is_found_for_every_way_to_merge(scripted: Any, answer: Any, made: str) -> None:
    scripted.on(f"GET {ROOT}/merge_requests/7", answer)
    async with connect(scripted) as forge:
        found = await forge.pull(7)
    assert (found.state, found.merge_sha, found.merged_by, found.closed_by) == ("merged", made, "reviewer", "reviewer")


async def test_closed_ones_include_merged_ones(scripted: Any) -> None:
    scripted.on(
        f"GET {ROOT}/merge_requests", [merge(), merge(iid=8, state="closed", closed_by={"username": "ops"}), MERGED | {"iid": 9}]
    )
    async with connect(scripted) as forge:
        found = await forge.pulls(state="closed")
    assert [(one.number, one.state, one.closed_by) for one in found] == [(9, "merged", "reviewer"), (8, "closed", "ops")]


async def test_opening_sends_gitlabs_words_and_finds_what_exists(scripted: Any) -> None:
    scripted.on(f"GET {ROOT}/merge_requests", [], [merge()])
    scripted.on(f"POST {ROOT}/merge_requests", (409, {"message": ["Another open merge request already exists"]}))
    async with connect(scripted) as forge:
        found = await forge.open_pull(title="WIP", body="b", head="promote/web", base="main", draft=True, labels=["x", "y"])
    assert found.number == 7
    wanted = {"title": "Draft: WIP", "description": "b", "source_branch": "promote/web", "target_branch": "main", "labels": "x,y"}
    assert scripted.bodies(f"POST {ROOT}/merge_requests") == [wanted]


async def test_only_what_changes_is_sent(scripted: Any) -> None:
    scripted.on(f"GET {ROOT}/merge_requests/7", merge(title="Draft: Promote web", draft=True))
    scripted.on(f"PUT {ROOT}/merge_requests/7", merge())
    async with connect(scripted) as forge:
        await forge.update_pull(7, draft=False)
        await forge.update_pull(7, labels=[], state="closed")
        await forge.update_pull(7, state="open")
    assert scripted.bodies(f"PUT {ROOT}/merge_requests/7") == [{"title": "Promote web"}, {"labels": "", "state_event": "close"}]


@pytest.mark.parametrize(("method", "field"), [("merge", "merge_commit_message"), ("squash", "squash_commit_message")])
async def test_a_merge_names_the_commit_and_carries_the_trailers(scripted: Any, method: Any, field: str) -> None:
    scripted.on(f"PUT {ROOT}/merge_requests/7/merge", MERGED)
    async with connect(scripted) as forge:
        assert await forge.merge_pull(7, sha=HEAD, method=method, title="t", message="Penstock-Digest: x") == MADE
    wanted = {"sha": HEAD, "squash": method == "squash", field: "t\n\nPenstock-Digest: x"}
    assert scripted.bodies(f"PUT {ROOT}/merge_requests/7/merge") == [wanted]


async def test_a_merge_waits_while_gitlab_is_looking(scripted: Any) -> None:
    scripted.on(f"PUT {ROOT}/merge_requests/7/merge", (405, {"message": "405 Method Not Allowed"}), (422, {}), MERGED)
    scripted.on(f"GET {ROOT}/merge_requests/7", merge(detailed_merge_status="checking"))
    async with connect(scripted) as forge:
        assert await forge.merge_pull(7, sha=HEAD, method="merge", title="t", message="") == MADE


@pytest.mark.parametrize(
    ("answer", "after", "kind", "code"),
    [
        ((409, {"message": "SHA does not match HEAD of source branch"}), merge(), RaceError, "Conflict"),
        ((405, {}), merge(detailed_merge_status="conflict"), RefusedError, "MergeConflict"),
        ((405, {}), merge(detailed_merge_status="not_approved"), RefusedError, "NotAllowed"),
        ((405, {}), merge(sha="d" * 40), RaceError, "HeadMoved"),
        ((405, {}), merge(detailed_merge_status="unchecked"), TransientError, "NotMerged"),
        ((502, {}), merge(), TransientError, "ServerError"),
        (merge(), merge(), TransientError, "NotMerged"),
    ],
)
async def test_a_merge_that_is_not_made_says_why(
    scripted: Any, answer: Any, after: Any, kind: type[Exception], code: str
) -> None:
    scripted.on(f"PUT {ROOT}/merge_requests/7/merge", answer)
    scripted.on(f"GET {ROOT}/merge_requests/7", after)
    async with connect(scripted) as forge:
        with pytest.raises(kind) as failed:
            await forge.merge_pull(7, sha=HEAD, method="merge", title="t", message="m")
    assert failed.value.code == code  # type: ignore[attr-defined]


async def test_a_merge_whose_answer_was_lost_is_looked_up(scripted: Any) -> None:
    scripted.on(f"PUT {ROOT}/merge_requests/7/merge", (200, "DROP"))
    scripted.on(f"GET {ROOT}/merge_requests/7", MERGED, MERGED | {"sha": "d" * 40})
    async with connect(scripted) as forge:
        assert await forge.merge_pull(7, sha=HEAD, method="merge", title="t", message="m") == MADE
        with pytest.raises(RaceError):
            await forge.merge_pull(7, sha=HEAD, method="merge", title="t", message="m")


VERSIONS = [
    {"id": 2, "head_commit_sha": HEAD, "created_at": "2026-03-02T14:30:00Z"},
    {"id": 1, "head_commit_sha": "e" * 40, "created_at": "2026-03-02T14:00:00Z"},
]


async def test_an_approval_counts_for_the_version_it_was_given_to(scripted: Any) -> None:
    approvals = [
        {"user": {"username": "late"}, "approved_at": "2026-03-02T14:31:00Z"},
        {"user": {"username": "early"}, "approved_at": "2026-03-02T14:29:00Z"},
    ]
    scripted.on(f"GET {ROOT}/merge_requests/7/approvals", {"iid": 7, "approvals_left": 0, "approved_by": approvals})
    scripted.on(f"GET {ROOT}/merge_requests/7/versions", VERSIONS)
    async with connect(scripted) as forge:
        found = [(one.user, one.state, one.commit) for one in await forge.reviews(7)]
    assert found == [("early", "approved", "e" * 40), ("late", "approved", HEAD)]


async def test_before_18_5_the_time_of_an_approval_stands_in_a_note(scripted: Any) -> None:
    approvals = [{"user": {"username": "told"}}, {"user": {"username": "untold"}}]

    def note(user: str, body: str, *, system: bool) -> dict[str, Any]:
        return {"id": 1, "body": body, "author": {"username": user}, "created_at": "2026-03-02T14:29:00Z", "system": system}

    said = [note("told", "approved this merge request", system=True), note("untold", "approved this merge request", system=False)]
    scripted.on(f"GET {ROOT}/merge_requests/7/approvals", {"approved_by": approvals})
    scripted.on(f"GET {ROOT}/merge_requests/7/notes", said)
    scripted.on(f"GET {ROOT}/merge_requests/7/versions", VERSIONS)
    async with connect(scripted) as forge:
        found = [(one.user, one.commit) for one in await forge.reviews(7)]
    assert found == [("told", "e" * 40)], "words of a person are no approval"


async def test_comments_can_be_replaced_without_knowing_where_they_are(scripted: Any) -> None:
    note = {"id": 305, "body": "one", "author": {"username": "penstock"}, "created_at": "2026-03-02T14:29:00Z", "system": False}
    scripted.on(f"POST {ROOT}/merge_requests/7/notes", (201, note))
    scripted.on(f"PUT {ROOT}/merge_requests/7/notes/305", note)
    async with connect(scripted) as forge:
        made = await forge.comment(7, "one")
        await forge.update_comment(made.id, "two")
    assert scripted.bodies(f"PUT {ROOT}/merge_requests/7/notes/305") == [{"body": "two"}]


async def test_a_status_that_says_so_already_is_no_error(scripted: Any) -> None:
    status = {
        "id": 1,
        "sha": HEAD,
        "name": "penstock",
        "status": "failed",
        "author": {"username": "penstock"},
        "description": "d",
    }
    scripted.on(f"POST {ROOT}/statuses/{HEAD}", (400, {"message": "Cannot transition status via :drop from :failed"}))
    scripted.on(f"GET {ROOT}/repository/commits/{HEAD}/statuses", [status])
    async with connect(scripted) as forge:
        await forge.set_status(HEAD, CommitStatus(context="penstock", state="failure", description="d"))
        with pytest.raises(RefusedError):
            await forge.set_status(HEAD, CommitStatus(context="other", state="failure", description="d"))
    assert scripted.bodies(f"POST {ROOT}/statuses/{HEAD}")[0]["state"] == "failed"


async def test_a_project_without_a_group_is_refused(scripted: Any) -> None:
    with pytest.raises(RefusedError):
        async with forges.connect("gitlab", scripted.url, "fleet", token="t"):
            pass


async def test_who_wrote_a_commit_is_the_one_user_with_the_address(scripted: Any) -> None:
    scripted.on(f"GET {ROOT}/repository/commits/{HEAD}", {"id": HEAD, "author_name": "Mona", "author_email": "mona@example.com"})
    scripted.on("GET /api/v4/users", [{"id": 1, "username": "mona"}], [])
    async with connect(scripted) as forge:
        assert [await forge.author(HEAD), await forge.author(HEAD)] == ["mona", ""]
    assert next(query for name, query, _ in scripted.asked if name == "GET /api/v4/users") == {"search": "mona@example.com"}
