"""Histories and servers that are not as one would like: nothing is lost, nothing is forced, and it says why it waits."""

from __future__ import annotations

import os
from typing import Any

import promotion_fleet
import pytest
from promotion_fleet import WEB, Fleet, git_command

from penstock.adapters.forge import local_gitea
from penstock.model.errors import RefusedError


async def opened(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]


async def length(fleet: Fleet) -> int:
    await fleet.git("fetch", "-q", fleet.url, "main")
    return int(await fleet.git("rev-list", "--count", "FETCH_HEAD"))


@pytest.mark.row("G16")
async def test_a_promotion_adds_to_the_history_and_never_shortens_it(fleet: Fleet) -> None:
    before = await length(fleet)
    await opened(fleet)
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    assert await length(fleet) == before + 2, "the change and its promotion"


@pytest.mark.row("G17")
async def test_a_history_without_anything_in_common_moves_nothing_by_itself(fleet: Fleet) -> None:
    """Somebody replaces main by an unrelated history: what was promoted before is unknown, so people are asked."""
    await opened(fleet)
    await fleet.git("checkout", "-q", "--orphan", "new-world")
    await fleet.git("commit", "-q", "-m", "everything anew")
    await fleet.git("push", "-q", "--force", fleet.url, "new-world:main")
    await fleet.syncs("dev")
    steps = await fleet.settle()
    assert not any(step.startswith("merge") for step in steps)
    for pull in await fleet.pulls():
        assert pull.draft or "Still needed" in pull.body
        await fleet.approve(pull)
    assert not any(step.startswith("merge") for step in await fleet.settle())
    assert "checkout_timeout: 10s" in await fleet.read(WEB.format("staging") + "config.yaml")


CRON = "clusters/{}/apps/cron/"


@pytest.mark.row("G17")
@pytest.mark.parametrize(
    ("policy", "records", "by_itself"),
    [("block", False, False), ("warn", True, False), ("warn", False, True)],
    ids=["it blocks", "its record names a commit that is gone", "a first promotion elsewhere"],
)
async def test_after_a_history_was_replaced_a_person_approves_even_where_nobody_has_to(
    fleet: Fleet, policy: str, records: bool, by_itself: bool
) -> None:
    """Nothing says any more that an app was ever promoted: new or taken out of staging long ago, a person knows."""
    lines = f"  - name: staging\n    protected: {policy}\n    gates: {{approvals: 0}}\n"
    gone = await fleet.edit("nobody has to approve", "penstock.yaml", "  - name: staging\n", lines)
    await fleet.git("checkout", "-q", "--orphan", "new-world")
    record = f"\n\nPenstock-Promotion: cron dev@{gone} -> staging" if records else ""
    await fleet.git("commit", "-q", "-m", f"everything anew{record}")
    await fleet.git("push", "-q", "--force", fleet.url, "new-world:main")
    await fleet.git("checkout", "-q", "-B", "main")
    listing = await fleet.read("clusters/dev/apps/kustomization.yaml")
    files = {
        CRON.format("dev") + "config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cron\ndata:\n  every: 5m\n",
        CRON.format("dev") + "kustomization.yaml": "resources:\n- config.yaml\n",
        "clusters/dev/apps/kustomization.yaml": listing.replace("- api\n", "- api\n- cron\n"),
    }
    await fleet.commit("cron", files)
    await fleet.syncs("dev")
    steps = await fleet.settle()
    assert ("merge cron -> staging" in steps) is by_itself, steps
    if not by_itself:
        pull = next(one for one in await fleet.pulls() if one.head.endswith("/cron"))
        assert "0 of 1 approval" in pull.body
        await fleet.approve(pull)
        assert "merge cron -> staging" in await fleet.settle()
    assert "every: 5m" in await fleet.read(CRON.format("staging") + "config.yaml")


@pytest.mark.row("G18")
async def test_commits_from_the_future_odd_paths_and_odd_letters_are_only_bytes(fleet: Fleet) -> None:
    work = fleet.folder / "work"
    odd = work / "clusters/dev/apps/web"
    (odd / "näme 🚀.txt").write_text("x\n")
    (odd / os.fsdecode(b"latin-\xe9.txt")).write_text("y\n")
    await fleet.git("add", "-A")
    await fleet.git("commit", "-q", "-m", "odd 🚀 names", "--date", "2099-01-01T00:00:00Z")
    await fleet.git("push", "-q", fleet.url, "HEAD:main")
    await opened(fleet)
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    await fleet.git("fetch", "-q", fleet.url, "main")
    listed = await git_command("-C", str(work), "ls-tree", "-r", "--name-only", "FETCH_HEAD", "clusters/staging/apps/web/")
    assert "n\\303\\244me" in listed and "latin-\\351.txt" in listed


@pytest.mark.row("G20")
async def test_an_announcement_that_comes_before_its_commit_changes_nothing(fleet: Fleet) -> None:
    """The forge says that something was pushed, and the repository still shows what it showed."""
    controller = fleet.controller()
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle(controller)
    number = (await fleet.the_pull()).number
    for _ in range(3):
        controller.poke()
        report = await controller.once()
        assert report.done == () and not report.again
    assert (await fleet.the_pull()).number == number


@pytest.mark.row("M23")
async def test_a_forge_that_does_not_list_its_newest_pull_request_yet_gets_no_second_one(fleet: Fleet) -> None:
    class Late:
        """A forge whose lists are a look behind."""

        def __init__(self, forge: Any) -> None:
            self._forge, self.looks = forge, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._forge, name)

        async def pulls(self, **options: Any) -> Any:
            found = await self._forge.pulls(**options)
            self.looks += 1
            return found if self.looks > 6 else []

    await fleet.raise_timeout()
    await fleet.syncs("dev")
    late: Any = Late(fleet.forges["penstock"])
    controller = fleet.controller(forge=late)
    for _ in range(10):
        await controller.once()
    assert await fleet.drawing() == (
        "#1 penstock/promote/staging/web open: Promote web: dev → staging (raise checkout timeout to 20s)\n"
        "penstock/promote/staging/web"
    )


@pytest.mark.real
@pytest.mark.row("G19")
async def test_a_server_that_refuses_the_push_is_told_with_its_own_words_and_asked_again_only_later(
    tmp_path: Any, real_gitea: local_gitea.LocalGitea
) -> None:
    async with promotion_fleet.running(tmp_path, real_gitea, "refuses") as fleet:
        await fleet.raise_timeout()
        await fleet.syncs("dev")
        rules = "/repos/platform/refuses/branch_protections"
        await real_gitea.admin("POST", rules, body={"rule_name": "penstock/**", "enable_push": False})
        report = await fleet.controller().once()
        (problem,) = report.problems
        assert problem.startswith("web -> staging: ") and "protected" in problem
        assert not report.again, "no storm: the next look is the usual one"
        await real_gitea.admin("DELETE", f"{rules}/penstock%2F**")
        assert await fleet.settle() == ["open web -> staging"], "it heals by itself"


@pytest.mark.row("M06")
async def test_a_merge_that_the_forge_says_it_refused_and_did_anyway_is_not_made_again(fleet: Fleet) -> None:
    await opened(fleet)
    await fleet.approve(await fleet.the_pull())

    class Lying:
        def __init__(self, forge: Any) -> None:
            self._forge = forge

        def __getattr__(self, name: str) -> Any:
            return getattr(self._forge, name)

        async def merge_pull(self, *arguments: Any, **options: Any) -> Any:
            await self._forge.merge_pull(*arguments, **options)
            raise RefusedError("405: it says no", code="Refused")

    lying: Any = Lying(fleet.forges["penstock"])
    report = await fleet.controller(forge=lying).once()
    assert report.problems
    assert [step for step in await fleet.settle() if step.startswith("merge")] == []
    assert await fleet.drawing() == (
        "#1 penstock/promote/staging/web merged: Promote web: dev → staging (raise checkout timeout to 20s)"
    )
