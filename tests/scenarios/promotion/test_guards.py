"""What does not let a change through: health, soak, freezes, holds, and claims that are not evidence."""

from __future__ import annotations

import pytest
from promotion_fleet import WEB, Fleet

from penstock.ports.forge import CommitStatus

PIPELINE = "penstock.yaml"


async def gated(fleet: Fleet, lines: str) -> None:
    """Gates for staging, on the main branch."""
    await fleet.edit("gates", PIPELINE, "  - name: staging\n", f"  - name: staging\n    gates:\n{lines}")


async def test_nothing_is_proposed_that_did_not_run(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    assert await fleet.settle() == []


async def test_nothing_is_proposed_that_ran_sick(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.syncs("dev", healthy=False)
    assert await fleet.settle() == []


@pytest.mark.row("M31")
async def test_nothing_is_proposed_when_something_else_was_applied_than_git_renders(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.syncs("dev", digest="sha256:" + "0" * 64)
    assert await fleet.settle() == []


async def test_an_approved_change_is_not_merged_once_its_environment_is_sick(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    pull = await fleet.the_pull()
    await fleet.syncs("dev", healthy=False)
    await fleet.approve(pull)
    assert await fleet.settle() == ["update web -> staging"]
    assert "not healthy in dev" in (await fleet.the_pull()).body
    fleet.clock.turn(minutes=1)
    await fleet.syncs("dev")
    assert (await fleet.settle())[0] == "merge web -> staging"


async def test_an_app_moves_on_while_another_one_in_its_environment_is_sick(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.edit("api: more words", "clusters/dev/apps/api/config.yaml", "\ndata:\n", "\ndata:\n  extra: words\n")
    await fleet.runs("dev", sick="api")
    assert await fleet.settle() == ["open web -> staging"]
    case = (await fleet.controller().once()).survey.case("staging", "api")
    assert case is not None
    assert case.decision.reason.startswith("not healthy in dev: Deployment/api InProgress")
    assert "(clusters/dev/apps/api/deployment.yaml:1" in case.decision.reason


@pytest.mark.row("M01")
async def test_a_forged_record_is_no_evidence(fleet: Fleet) -> None:
    """A trailer that claims health, in a commit and in its text, moves nothing."""
    text = await fleet.read(WEB.format("dev") + "config.yaml")
    sha = await fleet.git("rev-parse", "FETCH_HEAD")
    forged = (
        f"harmless\n\nPenstock-Promotion: web dev@{sha} -> staging\n"
        f"Penstock-Evidence: dev healthy 2026-01-01T00:00:00Z/2026-03-01T00:00:00Z sha256:{'1' * 64}\n"
    )
    await fleet.commit(forged, {WEB.format("dev") + "config.yaml": text.replace("10s", "20s")})
    assert await fleet.settle() == []
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"], "and it does not hide the change either"


@pytest.mark.row("M02")
async def test_a_status_of_ours_set_by_somebody_else_opens_nothing(fleet: Fleet) -> None:
    await gated(fleet, "      statuses: [{context: ci/test, creator: developer}]\n")
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    pull = await fleet.the_pull()
    await fleet.approve(pull)
    for context in ("ci/test", "penstock/healthy"):
        status = CommitStatus(context=context, state="success", description="trust me")
        await fleet.forges["reviewer"].set_status(pull.head_sha, status)
    await fleet.settle()
    assert (await fleet.the_pull()).state == "open"
    await fleet.forges["developer"].set_status(pull.head_sha, CommitStatus(context="ci/test", state="success", description="ok"))
    assert (await fleet.settle())[0] == "merge web -> staging"


async def test_soak_waits_its_time_and_then_merges_by_itself(fleet: Fleet) -> None:
    await gated(fleet, "      soak: 30m\n")
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    pull = await fleet.the_pull()
    await fleet.approve(pull)
    fleet.clock.turn(minutes=29)
    await fleet.settle()
    assert "of 30 min, until 2026-03-02 14:30 UTC" in (await fleet.the_pull()).body
    fleet.clock.turn(minutes=1)
    assert await fleet.settle() == ["merge web -> staging"]


async def test_a_freeze_stops_the_merge_and_lifting_it_lets_it_go(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    head = "apiVersion: penstock.dev/v1alpha1\nkind: Freeze\n"
    await fleet.commit("stop", {".penstock/freeze.yaml": head + "spec: {environments: [staging], reason: fair, by: ann}\n"})
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    assert "frozen by ann: fair" in (await fleet.the_pull()).body
    await fleet.commit("go", {".penstock/freeze.yaml": None})
    assert (await fleet.settle())[0] == "merge web -> staging"


async def test_a_held_app_stays_back_and_others_go(fleet: Fleet) -> None:
    head = "apiVersion: penstock.dev/v1alpha1\nkind: Hold\n"
    await fleet.commit("hold", {".penstock/hold.yaml": head + "spec: {app: web, environments: [staging], reason: odd}\n"})
    await fleet.raise_timeout()
    await fleet.edit("api: more words", "clusters/dev/apps/api/config.yaml", "\ndata:\n", "\ndata:\n  extra: words\n")
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open api -> staging"]


@pytest.mark.row("M27", "T14")
async def test_gates_are_read_from_main_and_not_from_the_pull_request(fleet: Fleet) -> None:
    """A branch that weakens its own gate changes nothing: only what main says counts."""
    await gated(fleet, "      approvals: 2\n")
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    assert "1 of 2 approvals" in (await fleet.the_pull()).body
    await fleet.approve(await fleet.the_pull(), "developer")
    assert (await fleet.settle())[0] == "merge web -> staging"


async def test_where_merging_is_left_to_people_penstock_says_that_it_is_ready(fleet: Fleet) -> None:
    await fleet.edit("by hand", PIPELINE, "  - name: staging\n", "  - name: staging\n    autoMerge: false\n")
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull())
    assert await fleet.settle() == ["update web -> staging"]
    assert "Nothing more is needed:** a person may merge it." in (await fleet.the_pull()).body


async def test_where_promotion_is_not_automatic_nothing_is_opened_until_asked(fleet: Fleet) -> None:
    await fleet.edit("by hand", PIPELINE, "  - name: staging\n", "  - name: staging\n    autoPromote: false\n")
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    assert await fleet.settle() == []


CONFIG = WEB.format("staging") + "config.yaml"


@pytest.mark.row("M03")
async def test_the_guard_names_a_direct_edit_and_blocks_it_where_the_environment_is_protected(fleet: Fleet) -> None:
    text = (await fleet.read(CONFIG)).replace("10s", "99s")
    pull = await fleet.propose("developer", "hotfix", {CONFIG: text})
    await fleet.settle()
    told = "1 value would change in staging without having run healthy upstream"
    assert await fleet.guard(pull) == ("success", told)
    (comment,) = await fleet.forges["penstock"].comments(pull.number)
    assert "| staging | ConfigMap/web `data.checkout_timeout` | gets a value that dev does not have |" in comment.body
    await fleet.edit("protect", PIPELINE, "  - name: staging\n", "  - name: staging\n    protected: true\n")
    await fleet.settle()
    assert await fleet.guard(pull) == ("failure", told)
    assert len(await fleet.forges["penstock"].comments(pull.number)) == 1


async def test_where_the_guard_allows_its_status_tells_and_nobody_is_spoken_to(fleet: Fleet) -> None:
    """Staging allows, prod warns: one edit of both is one comment, about prod, and what blocks is a matter of one word."""
    await fleet.edit("allow", PIPELINE, "  - name: staging\n", "  - name: staging\n    protected: allow\n")
    hotfix = {CONFIG: (await fleet.read(CONFIG)).replace("10s", "99s")}
    pull = await fleet.propose("developer", "hotfix", hotfix)
    await fleet.settle()
    assert await fleet.guard(pull) == ("success", "1 value would change in staging without having run healthy upstream")
    assert await fleet.forges["penstock"].comments(pull.number) == []
    prod = WEB.format("prod") + "config.yaml"
    both = await fleet.propose("developer", "both", hotfix | {prod: (await fleet.read(prod)).replace("10s", "99s")})
    await fleet.settle()
    assert (await fleet.guard(both))[0] == "success"
    (comment,) = await fleet.forges["penstock"].comments(both.number)
    assert "| prod |" in comment.body and "| staging |" not in comment.body
    await fleet.edit("block", PIPELINE, "    protected: allow\n", "    protected: block\n")
    await fleet.settle()
    assert [(await fleet.guard(one))[0] for one in (pull, both)] == ["failure", "failure"]
    assert len(await fleet.forges["penstock"].comments(pull.number)) == 1


async def test_the_guard_lets_through_what_runs_healthy_upstream_and_what_has_no_upstream(fleet: Fleet) -> None:
    dev = WEB.format("dev") + "config.yaml"
    first = await fleet.propose("developer", "to-dev", {dev: (await fleet.read(dev)).replace("10s", "30s")})
    await fleet.settle()
    assert (await fleet.guard(first))[1] == "every value that would change ran healthy upstream"
    await fleet.raise_timeout()
    same = await fleet.propose("developer", "same-as-dev", {CONFIG: (await fleet.read(CONFIG)).replace("10s", "20s")})
    await fleet.settle()
    assert (await fleet.guard(same))[1].startswith("1 value would change in staging"), "dev has it, but it did not run yet"
    await fleet.syncs("dev")
    await fleet.settle()
    assert (await fleet.guard(same))[1] == "every value that would change ran healthy upstream"


async def test_the_guard_sees_through_a_shared_base(fleet: Fleet) -> None:
    base = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shared\ndata:\n  level: info\n"
    files = {"base/kustomization.yaml": "resources:\n- config.yaml\n", "base/config.yaml": base}
    for env in ("staging", "prod"):
        path = WEB.format(env) + "kustomization.yaml"
        files[path] = (await fleet.read(path)).replace("resources:\n", "resources:\n- ../../../../base\n")
    await fleet.commit("a shared base", files)
    pull = await fleet.propose("developer", "change-base", {"base/config.yaml": base.replace("info", "debug")})
    await fleet.controller().once()
    _, description = await fleet.guard(pull)
    assert description == "2 values would change in staging, prod without having run healthy upstream"


async def test_the_targets_cluster_is_asked_what_it_would_do(fleet: Fleet) -> None:
    """Staging runs everything; the promotion changes one object there, and the server says so."""
    await fleet.runs("staging", sick="")
    await fleet.raise_timeout()
    selector = "matchLabels:\n      app: api\n"
    await fleet.edit("new selector", "clusters/dev/apps/api/deployment.yaml", selector, selector.replace("api", "other"))
    await fleet.syncs("dev")
    await fleet.settle()
    bodies = {pull.title.split(" ")[1]: pull.body for pull in await fleet.pulls()}
    told = "**Live check:** applying this to staging would change 1 object and delete none (server-side dry-run at 14:00 UTC)."
    assert told in bodies["web:"]
    assert "The cluster would refuse:" in bodies["api:"] and "✖ `Deployment/api`" in bodies["api:"]
