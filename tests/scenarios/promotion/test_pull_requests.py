"""What promotion pull requests do while people and environments go on: one per target and app, always about now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from promotion_fleet import WEB, Fleet

from penstock.adapters import git
from penstock.app import log
from penstock.model.values import CommitId
from penstock.promote import change


async def opened(fleet: Fleet) -> int:
    """A change that ran healthy in dev, and its pull request to staging."""
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]
    return (await fleet.the_pull()).number


@pytest.mark.row("M08")
async def test_a_second_commit_to_dev_updates_the_open_pull_request_once_it_ran_healthy(fleet: Fleet) -> None:
    number = await opened(fleet)
    head = (await fleet.the_pull()).head_sha
    await fleet.raise_timeout(to="30s", was="20s")
    await fleet.settle()
    assert (await fleet.the_pull()).head_sha == head, "the first is proven, the second is not yet"
    await fleet.syncs("dev")
    assert (await fleet.settle())[-1] == "update web -> staging"
    pull = await fleet.the_pull()
    assert pull.number == number and pull.head_sha != head
    assert pull.title == "Promote web: dev → staging (raise checkout timeout to 30s and 1 more)"
    await fleet.approve(pull)
    assert (await fleet.settle())[0] == "merge web -> staging"
    assert "checkout_timeout: 30s" in await fleet.read("clusters/staging/apps/web/config.yaml")


@pytest.mark.row("M04")
async def test_an_approval_of_earlier_content_does_not_count_for_later_content(fleet: Fleet) -> None:
    await opened(fleet)
    pull = await fleet.the_pull()
    await fleet.raise_timeout(to="30s", was="20s")
    await fleet.syncs("dev")
    await fleet.approve(pull)
    assert await fleet.settle() == ["update web -> staging"]
    assert "0 of 1 approval" in (await fleet.the_pull()).body


async def test_an_approval_stays_while_only_others_change_main(fleet: Fleet) -> None:
    await opened(fleet)
    pull = await fleet.the_pull()
    await fleet.commit("something else", {"docs/note.md": "hello\n"})
    await fleet.approve(pull)
    assert (await fleet.settle())[0] == "merge web -> staging"
    assert (await fleet.pulls("all"))[0].head_sha == pull.head_sha


async def test_nobody_merges_without_a_review(fleet: Fleet) -> None:
    await opened(fleet)
    assert await fleet.settle() == []
    fleet.clock.turn(days=30)
    assert await fleet.settle() == []
    assert (await fleet.the_pull()).state == "open"


async def test_who_wrote_the_change_does_not_approve_its_promotion(any_fleet: Fleet) -> None:
    """The pull request is Penstock's own, so without this rule its author would be nobody who could approve."""
    fleet = any_fleet
    await fleet.git("config", "user.email", "developer@localhost.invalid")
    await opened(fleet)
    await fleet.approve(await fleet.the_pull(), "developer")
    await fleet.settle()
    assert "0 of 1 approval (developer wrote it, which does not count)" in (await fleet.the_pull()).body
    await fleet.approve(await fleet.the_pull())
    assert (await fleet.settle())[0] == "merge web -> staging"


async def test_whom_the_forge_does_not_know_is_taken_for_the_login_of_that_name(fleet: Fleet) -> None:
    await fleet.git("config", "user.email", "developer@elsewhere.example")
    await opened(fleet)
    await fleet.approve(await fleet.the_pull(), "developer")
    await fleet.settle()
    assert (await fleet.the_pull()).state == "open"


async def test_a_request_for_changes_stops_the_merge(fleet: Fleet) -> None:
    await opened(fleet)
    pull = await fleet.the_pull()
    await fleet.approve(pull, "developer")
    await fleet.forges["reviewer"].review(pull.number, state="changes_requested", commit=pull.head_sha, body="no")
    await fleet.settle()
    assert "changes requested by reviewer" in (await fleet.the_pull()).body


@pytest.mark.row("M09")
async def test_a_revert_in_dev_closes_the_pull_request(fleet: Fleet) -> None:
    number = await opened(fleet)
    await fleet.raise_timeout(to="10s", was="20s")
    assert await fleet.settle() == ["close web -> staging"]
    pull = await fleet.forges["penstock"].pull(number)
    assert pull.state == "closed" and "penstock/superseded" in pull.labels
    await fleet.mirror.fetch()
    assert fleet.mirror.branches("penstock/") == {}


async def test_what_the_target_got_otherwise_closes_the_pull_request(fleet: Fleet) -> None:
    await opened(fleet)
    await fleet.raise_timeout("staging")
    assert await fleet.settle() == ["close web -> staging"]


@pytest.mark.row("M24")
async def test_closed_by_a_person_stays_closed_until_the_content_is_another(fleet: Fleet) -> None:
    number = await opened(fleet)
    await fleet.forges["reviewer"].update_pull(number, state="closed")
    assert await fleet.settle() == []
    await fleet.commit("something else", {"clusters/dev/apps/api/note.txt": "x\n"})
    await fleet.syncs("dev")
    assert [step for step in await fleet.settle() if "web" in step] == []
    await fleet.raise_timeout(to="30s", was="20s")
    await fleet.syncs("dev")
    assert "open web -> staging" in await fleet.settle()


async def test_what_penstock_closed_itself_is_opened_again_when_it_is_due_again(fleet: Fleet) -> None:
    await opened(fleet)
    await fleet.raise_timeout(to="10s", was="20s")
    assert await fleet.settle() == ["close web -> staging"]
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]


@pytest.mark.row("M03")
async def test_a_hand_edit_in_the_target_is_kept_and_a_field_it_shares_is_merged(fleet: Fleet) -> None:
    """A direct edit of staging while its pull request is open: the branch is rebuilt on it, nothing is lost."""
    await opened(fleet)
    path = WEB.format("staging") + "config.yaml"
    await fleet.edit("switch the flag off", path, 'new_checkout: "true"', 'new_checkout: "false"')
    assert await fleet.settle() == ["update web -> staging"]
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    text = await fleet.read(path)
    assert 'new_checkout: "false"  # feature flag' in text and "checkout_timeout: 20s" in text


@pytest.mark.row("M04")
async def test_a_push_of_somebody_else_to_the_branch_is_neither_overwritten_nor_merged(fleet: Fleet) -> None:
    await opened(fleet)
    pull = await fleet.the_pull()
    person = git.Mirror(fleet.url, fleet.folder / "person.git")
    await person.fetch()
    author = person.commit(CommitId(await fleet.git("rev-parse", "HEAD"))).author
    sneaky = person.write_commit([pull.head_sha], {"clusters/prod/x.yaml": b"a: b\n"}, message="more", author=author)
    await person.push(pull.head, sneaky, expect=pull.head_sha)
    pull = await fleet.the_pull()
    await fleet.approve(pull)
    assert await fleet.settle() == []
    now = await fleet.the_pull()
    assert (now.state, now.head_sha) == ("open", sneaky)


@pytest.mark.row("M14")
async def test_a_new_app_is_a_pull_request_of_its_own_that_brings_its_line(fleet: Fleet) -> None:
    cron = "clusters/dev/apps/cron/"
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cron\ndata:\n  every: 5m\n"
    listing = await fleet.read("clusters/dev/apps/kustomization.yaml")
    files = {
        cron + "config.yaml": config,
        cron + "kustomization.yaml": "resources:\n- config.yaml\n",
        "clusters/dev/apps/kustomization.yaml": listing.replace("- api\n", "- api\n- cron\n"),
    }
    await fleet.commit("add cron", files)
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open cron -> staging"]
    pull = await fleet.the_pull()
    assert pull.title == "Promote new cron: dev → staging (add cron)"
    await fleet.approve(pull)
    await fleet.settle()
    assert "- api\n- cron\n" in await fleet.read("clusters/staging/apps/kustomization.yaml")
    assert await fleet.read("clusters/staging/apps/cron/config.yaml") == config


@pytest.mark.row("M13")
async def test_a_removed_app_is_an_explicit_removal_that_names_what_will_be_deleted(fleet: Fleet) -> None:
    listing = await fleet.read("clusters/dev/apps/kustomization.yaml")
    gone: dict[str, str | None] = {f"clusters/dev/apps/report/{name}.yaml": None for name in ("cronjob", "kustomization")}
    await fleet.commit("no more reports", gone | {"clusters/dev/apps/kustomization.yaml": listing.replace("- report\n", "")})
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open report -> staging"]
    pull = await fleet.the_pull()
    assert pull.title == "Remove report: dev → staging (no more reports)"
    assert "will be deleted from the cluster: `CronJob/report`" in pull.body
    await fleet.approve(pull)
    await fleet.settle()
    assert "report" not in await fleet.read("clusters/staging/apps/kustomization.yaml")


async def test_several_apps_move_side_by_side(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.edit("api: more words", "clusters/dev/apps/api/config.yaml", "\ndata:\n", "\ndata:\n  extra: words\n")
    await fleet.syncs("dev")
    assert sorted(await fleet.settle()) == ["open api -> staging", "open web -> staging"]
    for pull in await fleet.pulls():
        await fleet.approve(pull)
    assert sorted(await fleet.settle()) == ["merge api -> staging", "merge web -> staging"]
    assert "extra: words" in await fleet.read("clusters/staging/apps/api/config.yaml")
    assert "checkout_timeout: 20s" in await fleet.read("clusters/staging/apps/web/config.yaml")
    await fleet.mirror.fetch()
    assert fleet.mirror.branches("penstock/") == {}


@pytest.mark.row("M05")
async def test_a_merge_past_red_gates_is_recorded_loudly_and_once(fleet: Fleet) -> None:
    number = await opened(fleet)
    await fleet.settle()
    pull = await fleet.the_pull()
    merged = await fleet.forges["reviewer"].merge_pull(
        number, sha=pull.head_sha, method="squash", title="now", message=fleet.mirror.commit(pull.head_sha).message
    )
    report = await fleet.controller().once()
    assert report.bypasses == (f"reviewer merged web into staging ({merged[:7]}) past approvals",)
    await fleet.settle()
    assert (await fleet.controller().once()).bypasses == ()
    comments = [one.body for one in await fleet.forges["penstock"].comments(number) if "Bypass" in one.body]
    assert len(comments) == 1 and "reviewer merged past approvals" in comments[0]
    statuses = await fleet.forges["penstock"].statuses(merged)
    assert [(one.context, one.state) for one in statuses] == [("penstock/bypass", "failure")]
    (entry, *_) = log.log(fleet.mirror, "main", "staging")
    assert (entry.kind, entry.unit, entry.merged_by, entry.bypassed) == ("bypass", "web", "reviewer", ("approvals",))


async def test_the_log_tells_promotions_and_direct_edits_from_git_alone(fleet: Fleet) -> None:
    await opened(fleet)
    fleet.clock.turn(minutes=5)
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    await fleet.edit("by hand", WEB.format("staging") + "config.yaml", "http://api", "http://other")
    await fleet.mirror.fetch()
    edit, promotion, start = log.log(fleet.mirror, "main", "staging")
    assert (edit.kind, edit.unit, edit.subject, edit.author) == ("bypass", "web", "by hand", "Dana Developer")
    assert (promotion.kind, promotion.unit, promotion.subject) == ("promotion", "web", "raise checkout timeout to 20s")
    assert (promotion.author, promotion.source, promotion.pull, promotion.approved_by) == (
        "Dana Developer",
        "dev",
        "#1",
        ("reviewer",),
    )
    assert promotion.evidence.startswith("dev healthy 2026-03-02T14:00:00Z/2026-03-02T14:05:00Z sha256:")
    assert start.kind == "direct"
    assert [entry.kind for entry in log.log(fleet.mirror, "main", "dev")] == ["direct", "direct"]


class Meddling:
    """A repository in which somebody pushes to main right before the merge of a pass."""

    def __init__(self, repo: Any, meddle: Callable[[], Awaitable[Any]]) -> None:
        self._repo, self._meddle, self._fetches = repo, meddle, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._repo, name)

    async def fetch(self) -> None:
        self._fetches += 1
        if self._fetches == 2:
            await self._meddle()
        await self._repo.fetch()


@pytest.mark.row("M32", "G14")
async def test_what_is_pushed_right_before_the_merge_is_looked_at_first(fleet: Fleet) -> None:
    await opened(fleet)
    await fleet.approve(await fleet.the_pull())
    meddling = Meddling(fleet.mirror, lambda: fleet.raise_timeout("staging", to="60s"))
    report = await fleet.controller(repo=meddling).once()
    assert report.done == () and report.again
    await fleet.settle()
    assert (await fleet.the_pull()).draft, "it is a conflict now, and nobody's value was lost"
    assert "checkout_timeout: 60s" in await fleet.read(WEB.format("staging") + "config.yaml")


@pytest.mark.row("M22")
async def test_many_apps_move_at_once_and_no_update_is_lost(fleet: Fleet) -> None:
    """Twenty apps, one commit, twenty pull requests, all approved together: all land, in few passes."""
    names = [f"app-{number:02}" for number in range(20)]
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\ndata:\n  every: 5m\n"
    listing = await fleet.read("clusters/dev/apps/kustomization.yaml")
    files = {f"clusters/{env}/apps/{name}/config.yaml": config.format(name) for name in names for env in ("dev", "staging")}
    files |= {
        f"clusters/{env}/apps/{name}/kustomization.yaml": "resources:\n- config.yaml\n"
        for name in names
        for env in ("dev", "staging")
    }
    lines = "".join(f"- {name}\n" for name in names)
    for env in ("dev", "staging"):
        files[f"clusters/{env}/apps/kustomization.yaml"] = listing.replace("- api\n", f"- api\n{lines}")
    start = await fleet.commit("twenty apps", files)
    settled = "apiVersion: penstock.dev/v1alpha1\nkind: Settled\nspec: {{from: dev, to: staging, commit: {}}}\n"
    changed = {".penstock/settled.yaml": settled.format(start)} | {
        f"clusters/dev/apps/{name}/config.yaml": config.format(name).replace("5m", f"{number}m")
        for number, name in enumerate(names, 10)
    }
    await fleet.commit("all of them", changed)
    await fleet.syncs("dev")
    controller = fleet.controller()
    assert len(await fleet.settle(controller)) == 20
    for pull in await fleet.pulls():
        await fleet.approve(pull)
    report = await controller.once()
    assert len([one for one in report.done if one.action == "merge"]) == 20, "all in one pass"
    await fleet.settle(controller)
    for number, name in enumerate(names, 10):
        assert f"every: {number}m" in await fleet.read(f"clusters/staging/apps/{name}/config.yaml")
    await fleet.mirror.fetch()
    assert fleet.mirror.branches("penstock/") == {}


async def test_a_fault_in_one_app_is_told_and_holds_no_other_up(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    await fleet.raise_timeout()
    await fleet.edit("api: more words", "clusters/dev/apps/api/config.yaml", "\ndata:\n", "\ndata:\n  extra: words\n")
    await fleet.syncs("dev")
    real = change.plan

    def faulty(pair: change.Pair, unit: str, *rest: Any) -> change.Change:
        if unit == "api":
            raise ValueError("canary-7d1e")
        return real(pair, unit, *rest)

    monkeypatch.setattr(change, "plan", faulty)
    assert await fleet.settle() == ["open web -> staging"]
    survey = (await fleet.controller().once()).survey
    assert survey.faults == ("api -> staging cannot be judged (ValueError), please report it",)


@pytest.mark.row("M25")
async def test_a_person_may_merge_by_hand_and_the_next_change_builds_on_it(fleet: Fleet) -> None:
    number = await opened(fleet)
    pull = await fleet.the_pull()
    await fleet.forges["reviewer"].merge_pull(number, sha=pull.head_sha, method="merge", title="Merge it", message="by hand")
    assert [step.split(" ")[0] for step in await fleet.settle()] in ([], ["clean"])
    await fleet.raise_timeout("staging", to="60s", was="20s")
    await fleet.edit("flag", WEB.format("dev") + "config.yaml", 'new_checkout: "true"', 'new_checkout: "maybe"')
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]
    body = (await fleet.the_pull()).body
    assert "checkout_timeout` | `20s` | `60s` | `60s` | kept" in body, "the base is the merge made by hand"
