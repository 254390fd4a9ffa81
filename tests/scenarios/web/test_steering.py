"""On call, by clicks only: hold, freeze, roll back, approve it, merge it; and the same story in the log afterwards."""

from __future__ import annotations

import asyncio
import re

import browsing
from playwright.async_api import Browser, Page, expect

from penstock import source
from penstock.app import sandbox
from penstock.model.pipeline import Repository
from penstock.model.values import EnvName
from penstock.ports.cluster import Cluster

PATIENCE_MS = 60_000
IMAGE = {"clusters/dev/apps/web/deployment.yaml": (r"image: (\S+):\S+", r"image: \1:9.9.9")}


async def image(cluster: Cluster) -> str:
    resource = await cluster.resource("apps", "Deployment")
    assert resource is not None
    found = await cluster.get(resource, "shop", "web")
    assert found is not None
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]


async def becomes(cluster: Cluster, wanted: str) -> None:
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while await image(cluster) != wanted:  # noqa: ASYNC110 - a cluster changes it
            await asyncio.sleep(0.1)


async def test_a_bad_change_is_held_frozen_and_rolled_back_by_clicks(chromium: Browser, whole: browsing.Whole) -> None:
    staging = whole.running.world.clusters[EnvName("staging")]
    async with browsing.visit(chromium, whole.page) as tab:
        for column in range(3):
            await expect(tab.locator("tr[data-name=web] td").nth(column)).to_contain_text("healthy", timeout=PATIENCE_MS)
        before = await image(staging)
        commit = await whole.push(IMAGE, "a bad change")
        cell = tab.locator("tr[data-name=web] td").nth(1)
        await expect(cell).to_contain_text("PR #", timeout=PATIENCE_MS)
        await _held_and_released(tab, whole)
        await tab.goto(whole.page.url)
        await cell.get_by_role("link", name="PR #").click()
        await tab.get_by_role("button", name="Approve").click()
        await expect(tab.locator(".facts")).to_contain_text("merged", timeout=PATIENCE_MS)
        await becomes(staging, "9.9.9")
        await _rolled_back(tab, whole, commit)
        await becomes(staging, before)
        await _frozen_and_thawed(tab, whole)
        await tab.goto(f"{whole.page.url}/log/staging")
        first = tab.locator("table.log tbody tr", has_text="Roll back web").first
        await expect(first).to_contain_text("ROLLBACK", timeout=PATIENCE_MS)
        await expect(tab.locator("dl.figures div", has_text="rolled back").locator("dd")).to_contain_text("1")
        await tab.goto(f"{whole.page.url}/app/web")
        await expect(tab.locator(".journey li", has_text="Roll back web")).to_contain_text("staging")


async def _held_and_released(tab: Page, whole: browsing.Whole) -> None:
    await tab.goto(f"{whole.page.url}/app/web")
    await tab.get_by_label("Hold back from").select_option("staging")
    await tab.get_by_label("because").fill("looks <b>wrong</b>: to me")
    await tab.get_by_role("button", name="Hold", exact=True).click()
    await _merged(tab)
    await tab.goto(f"{whole.page.url}/app/web")
    await expect(tab.locator(".guard")).to_contain_text(
        "On hold web in staging: looks <b>wrong</b>: to me by", timeout=PATIENCE_MS
    )
    repository = await _repository(whole)
    assert [(one.unit, one.environments, one.reason) for one in repository.holds] == [
        ("web", ("staging",), "looks <b>wrong</b>: to me")
    ]
    await tab.get_by_role("button", name="Release for staging").click()
    await _merged(tab)
    await tab.goto(f"{whole.page.url}/app/web")
    await expect(tab.locator(".guard")).to_have_count(0, timeout=PATIENCE_MS)
    assert (await _repository(whole)).holds == ()


async def _rolled_back(tab: Page, whole: browsing.Whole, commit: str) -> None:
    await tab.goto(f"{whole.page.url}/app/web")
    choice = tab.get_by_label("Roll back staging to")
    await expect(choice.locator("option")).not_to_have_count(1, timeout=PATIENCE_MS)
    await choice.select_option(index=1)
    await choice.locator("xpath=ancestor::form").get_by_role("button").click()
    await expect(tab.locator("h1")).to_contain_text("Roll back web in staging", timeout=PATIENCE_MS)
    await expect(tab.locator(".verdict")).to_contain_text("back to what it was")
    await expect(tab.locator(".object-diff", has_text="Deployment/web").locator("td.after").first).not_to_contain_text("9.9.9")
    number = int(re.sub(r"\D.*", "", tab.url.rpartition("/")[2]))
    pull = await whole.running.world.forge.pull(number)
    assert pull.author == sandbox.BOT
    assert "Penstock-Asked-By: the link (local)" in whole.running.world.repo.commit(pull.head_sha).message
    await _merged(tab)


async def _merged(tab: Page) -> None:
    """The main branch of the sandbox is protected: what is asked for waits for an approval like any other change."""
    await expect(tab.locator(".facts")).to_contain_text("approval", timeout=PATIENCE_MS)
    await expect(tab.get_by_role("button", name="Merge")).to_have_count(0)
    await tab.get_by_role("button", name="Approve").click()
    await expect(tab.get_by_role("button", name="Merge")).to_be_visible(timeout=PATIENCE_MS)
    await tab.get_by_role("button", name="Merge").click()
    await expect(tab.locator(".facts")).to_contain_text("merged", timeout=PATIENCE_MS)


async def _frozen_and_thawed(tab: Page, whole: browsing.Whole) -> None:
    await tab.goto(f"{whole.page.url}/environment/prod")
    await tab.get_by_text("Freeze or roll back").click()
    await tab.get_by_label("Merge nothing into prod because").fill("the big sale")
    await tab.get_by_role("button", name="Freeze", exact=True).click()
    await _merged(tab)
    await tab.goto(f"{whole.page.url}/environment/prod")
    await expect(tab.locator(".guard")).to_contain_text("Frozen in prod: the big sale", timeout=PATIENCE_MS)
    assert [one.environments for one in (await _repository(whole)).freezes] == [("prod",)]
    await tab.get_by_role("button", name="Thaw prod").click()
    await _merged(tab)
    await tab.goto(f"{whole.page.url}/environment/prod")
    await expect(tab.locator(".guard")).to_have_count(0, timeout=PATIENCE_MS)
    assert (await _repository(whole)).freezes == ()


async def _repository(whole: browsing.Whole) -> Repository:
    repo = whole.running.world.repo
    await repo.fetch()
    tip = repo.resolve("main")
    assert tip is not None
    return source.discover(repo.tree(tip))
