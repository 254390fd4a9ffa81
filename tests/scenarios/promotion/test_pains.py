"""What users of other tools ask for, each as a story that must end well. The numbers are those of the list of pains."""

from __future__ import annotations

import pytest
from promotion_fleet import WEB, Fleet

from penstock.app import log, status

PIPELINE = "penstock.yaml"


async def to_staging(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    await fleet.syncs("staging")


async def test_pain_1_the_whole_configuration_moves_and_small_differences_stay(fleet: Fleet) -> None:
    staging = WEB.format("staging")
    names = ("deployment.yaml", "config.yaml", "ingress.yaml", "service.yaml", "kustomization.yaml")
    before = {name: await fleet.read(staging + name) for name in names}
    await fleet.edit("new image", WEB.format("dev") + "deployment.yaml", "web:1.4.2", "web:1.5.0")
    await to_staging(fleet)
    assert await fleet.read(staging + "deployment.yaml") == before["deployment.yaml"].replace("web:1.4.2", "web:1.5.0")
    assert await fleet.read(staging + "config.yaml") == before["config.yaml"].replace("10s", "20s")
    for name in ("ingress.yaml", "service.yaml", "kustomization.yaml"):
        assert await fleet.read(staging + name) == before[name]


async def test_pain_2_flux_says_whether_it_may_move(fleet: Fleet) -> None:
    """Nothing but the status of a Flux Kustomization is looked at: Ready at this revision, generation and digest."""
    await fleet.raise_timeout()
    await fleet.syncs("dev", healthy=False)
    assert await fleet.settle() == []
    fleet.clock.turn(minutes=1)
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]


async def test_pain_6_a_ready_that_is_left_over_from_the_revision_before_lets_nothing_pass(fleet: Fleet) -> None:
    await fleet.syncs("dev")
    await fleet.raise_timeout()
    assert await fleet.settle() == [], "Ready is True, of the commit before"


async def test_pain_14_the_pull_request_shows_the_rendered_and_the_live_difference_and_ci_has_no_kubeconfig(fleet: Fleet) -> None:
    await fleet.runs("staging", sick="")
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    body = (await fleet.the_pull()).body
    assert "| ConfigMap/web `data.checkout_timeout` | `20s` | `10s` | **`20s`** | promoted |" in body
    assert "**Live check:** applying this to staging would change 1 object and delete none" in body


async def test_pain_15_the_line_can_be_stopped_and_goes_on_by_itself_at_its_time(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull())
    freeze = "apiVersion: penstock.dev/v1alpha1\nkind: Freeze\n"
    spec = 'spec: {environments: [staging], reason: summer fair, by: ann, until: "2026-03-02T16:00:00Z"}\n'
    await fleet.commit("stop", {".penstock/freeze.yaml": freeze + spec})
    assert "merge web -> staging" not in await fleet.settle()
    fleet.clock.turn(hours=2)
    assert "merge web -> staging" in await fleet.settle()


async def test_pain_16_so_many_people_approve_exactly_this_content(fleet: Fleet) -> None:
    await fleet.edit("two", PIPELINE, "  - name: staging\n", "  - name: staging\n    gates: {approvals: 2}\n")
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull())
    await fleet.raise_timeout(to="30s", was="20s")
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull(), "developer")
    assert "merge web -> staging" not in await fleet.settle(), "one approval each, of different contents"
    await fleet.approve(await fleet.the_pull())
    assert "merge web -> staging" in await fleet.settle()


async def test_pain_17_which_version_was_where_and_when_stands_in_git(fleet: Fleet) -> None:
    await to_staging(fleet)
    await fleet.mirror.fetch()
    (promotion, *_) = log.log(fleet.mirror, "main", "staging")
    assert (promotion.kind, promotion.unit, promotion.source, promotion.approved_by) == ("promotion", "web", "dev", ("reviewer",))
    assert promotion.evidence.startswith("dev healthy ")


async def test_pain_18_promotions_that_race_on_one_branch_all_arrive(fleet: Fleet) -> None:
    """Two controllers and a person write to one repository at the same time."""
    await fleet.raise_timeout()
    await fleet.edit("api: more words", "clusters/dev/apps/api/config.yaml", "\ndata:\n", "\ndata:\n  extra: words\n")
    await fleet.syncs("dev")
    one, other = fleet.controller(), fleet.controller()
    await one.once()
    await other.once()
    for pull in await fleet.pulls():
        await fleet.approve(pull)
    await one.once()
    await fleet.edit("by hand", "clusters/staging/apps/report/cronjob.yaml", "kind: CronJob", "kind: CronJob  # hourly")
    await other.once()
    await fleet.settle()
    assert "extra: words" in await fleet.read("clusters/staging/apps/api/config.yaml")
    assert "checkout_timeout: 20s" in await fleet.read(WEB.format("staging") + "config.yaml")
    assert "# hourly" in await fleet.read("clusters/staging/apps/report/cronjob.yaml")
    assert len(await fleet.pulls("all")) == 2


@pytest.mark.parametrize("harm", ["branch deleted", "text emptied", "label taken", "closed and reopened", "draft"])
async def test_pain_19_whatever_is_done_to_a_pull_request_it_finds_its_way(fleet: Fleet, harm: str) -> None:
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    pull = await fleet.the_pull()
    person = fleet.forges["reviewer"]
    match harm:
        case "branch deleted":
            await fleet.mirror.push(pull.head, None, expect=pull.head_sha)
        case "text emptied":
            await person.update_pull(pull.number, body="", title="oops")
        case "label taken":
            await person.update_pull(pull.number, labels=[])
        case "closed and reopened":
            await person.update_pull(pull.number, state="closed")
            await fleet.settle()
            await person.update_pull(pull.number, state="open")
        case "draft":
            await person.update_pull(pull.number, draft=True)
            await fleet.settle()
            await person.update_pull(pull.number, draft=False)
    await fleet.settle()
    if harm == "branch deleted":
        await fleet.raise_timeout(to="30s", was="20s")
        await fleet.syncs("dev")
        await fleet.settle()
    for pull in await fleet.pulls():
        await fleet.approve(pull)
    await fleet.settle()
    assert "checkout_timeout: 10s" not in await fleet.read(WEB.format("staging") + "config.yaml")


async def test_pain_20_one_change_stays_back_on_one_environment_and_the_others_go(fleet: Fleet) -> None:
    """A commit is held: the app waits with it where it is held, and other apps and environments do not."""
    commit = await fleet.raise_timeout()
    hold = "apiVersion: penstock.dev/v1alpha1\nkind: Hold\n"
    spec = f"spec: {{commit: {commit}, environments: [staging], reason: looks odd, by: ann}}\n"
    await fleet.commit("hold", {".penstock/hold.yaml": hold + spec})
    await fleet.edit("api: more words", "clusters/dev/apps/api/config.yaml", "\ndata:\n", "\ndata:\n  extra: words\n")
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open api -> staging"]
    await fleet.commit("release", {".penstock/hold.yaml": None})
    assert "open web -> staging" in await fleet.settle()


async def test_pain_21_a_change_fans_out_to_several_environments_side_by_side(fleet: Fleet) -> None:
    await fleet.edit("fan out", PIPELINE, "promoteFrom: [staging]", "promoteFrom: [dev]")
    start = await fleet.git("rev-parse", "HEAD")
    settled = f"apiVersion: penstock.dev/v1alpha1\nkind: Settled\nspec: {{from: dev, to: prod, commit: {start}}}\n"
    await fleet.commit("meant", {".penstock/settled.yaml": settled})
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    assert sorted(await fleet.settle()) == ["open web -> prod", "open web -> staging"]
    for pull in await fleet.pulls():
        await fleet.approve(pull)
    await fleet.settle()
    for environment in ("staging", "prod"):
        assert "checkout_timeout: 20s" in await fleet.read(WEB.format(environment) + "config.yaml")


async def test_pain_23_statuses_of_several_environments_do_not_cover_each_other(fleet: Fleet) -> None:
    """Each gate is a context of its own on the head of its own pull request: prod's wait never hides staging's."""
    await to_staging(fleet)
    await fleet.raise_timeout(to="30s", was="20s")
    await fleet.syncs("dev")
    await fleet.settle()
    heads = {pull.head: pull.head_sha for pull in await fleet.pulls()}
    assert set(heads) == {"penstock/promote/staging/web", "penstock/promote/prod/web"} and len(set(heads.values())) == 2
    for head in heads.values():
        contexts = [one.context for one in await fleet.forges["penstock"].statuses(head)]
        assert len(contexts) == len(set(contexts)) and "penstock/approvals" in contexts


async def test_pain_24_what_is_held_says_why_by_whom_and_until_when(fleet: Fleet) -> None:
    hold = "apiVersion: penstock.dev/v1alpha1\nkind: Hold\n"
    spec = 'spec: {app: web, environments: [staging], reason: looks odd, by: ann, until: "2026-03-02T15:00:00Z"}\n'
    await fleet.commit("hold", {".penstock/hold.yaml": hold + spec})
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    assert await fleet.settle() == []
    case = (await fleet.controller().once()).survey.case("staging", "web")
    assert case is not None
    (verdict,) = [one for one in case.verdicts if one.gate == "hold"]
    assert verdict.text == "held back by ann: looks odd" and verdict.until is not None and verdict.who == "time"
    fleet.clock.turn(hours=1)
    assert await fleet.settle() == ["open web -> staging"]


async def test_pain_25_one_view_tells_which_environment_runs_which_revision(fleet: Fleet) -> None:
    await to_staging(fleet)
    found = await status.status(fleet.world())
    (web,) = [row for row in found.rows if row.unit == "web"]
    commits = {str(cell.environment): cell.commit for cell in web.cells}
    assert commits["dev"] == commits["staging"] != commits["prod"]
    assert all(cell.health == "healthy" for cell in web.cells)
