"""The page of a whole running fleet: what it shows is what Git, forge and clusters say, and an approval there is one."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import browsing
import pytest
from playwright.async_api import Browser, Locator, Page, expect
from web_served import TOKEN

from penstock.adapters import kube
from penstock.app import fleet, lookout, sandbox
from penstock.app.world import World
from penstock.model.values import EnvName
from penstock.ports.cluster import Cluster
from penstock.web import serving

PATIENCE_MS = 40_000
IMAGE = {"clusters/dev/apps/web/deployment.yaml": (r"image: (\S+):\S+", r"image: \1:9.9.9")}
SUBJECT = "raise <b>checkout</b> timeout"


ENVIRONMENTS = ("dev", "staging", "prod")


def cell(tab: Page, app: str, environment: str) -> Locator:
    """The board's cell of an app in an environment."""
    return tab.locator(f"tr[data-name={app}] td").nth(ENVIRONMENTS.index(environment))


async def test_a_change_goes_from_commit_to_prod_by_clicks_only(chromium: Browser, whole: browsing.Whole) -> None:
    async with browsing.visit(chromium, whole.page, refused=True) as tab:
        for environment in ENVIRONMENTS:
            await expect(cell(tab, "web", environment)).to_contain_text("healthy", timeout=PATIENCE_MS)
        commit = await whole.push(IMAGE, SUBJECT)
        await expect(cell(tab, "web", "dev")).to_contain_text(commit[:7], timeout=PATIENCE_MS)
        for source, target in (("dev", "staging"), ("staging", "prod")):
            await expect(cell(tab, "web", target)).to_contain_text("PR #", timeout=PATIENCE_MS)
            await expect(cell(tab, "web", target)).to_contain_text("0 of 1 approval", timeout=PATIENCE_MS)
            await cell(tab, "web", target).get_by_role("link").click()
            await _read_and_approve(tab, whole, source, target)
            await tab.get_by_role("link", name="board").first.click()
            await expect(cell(tab, "web", target).locator(".what")).to_contain_text(f"{commit[:7]} healthy", timeout=PATIENCE_MS)
            assert await _image(whole.running.world.clusters[EnvName(target)]) == "9.9.9"
        await _log_tells(tab, whole, commit)
        await _environment_tells(tab, whole)
        await _a_late_approval_is_refused(tab, whole)


async def _a_late_approval_is_refused(tab: Page, whole: browsing.Whole) -> None:
    """A form from before the merge, sent after it."""
    merged = (await whole.running.world.forge.pulls(state="closed"))[0]
    status, answer = await tab.evaluate(
        """async ([number, head]) => {
            const csrf = document.querySelector("[name=csrf]").value;
            const body = new URLSearchParams({csrf, head, login: "reviewer"});
            const answer = await fetch(`/promotion/${number}/approve`, {method: "POST", body});
            return [answer.status, await answer.text()];
        }""",
        [merged.number, merged.head_sha],
    )
    assert status == 409
    assert f"#{merged.number} is merged already" in answer


async def _read_and_approve(tab: Page, whole: browsing.Whole, source: str, target: str) -> None:
    """The pull request's page says what it is about; the approval lands on the forge and it merges."""
    await expect(tab.locator("h1")).to_contain_text(f"Promote web: {source} → {target}")
    await expect(tab.locator(".verdict")).to_contain_text("Same configuration as")
    row = tab.locator("tr.promoted", has_text="image")
    await expect(row.locator("td.after")).to_contain_text(":9.9.9")
    await expect(tab.locator("main")).to_contain_text(SUBJECT)
    await expect(tab.get_by_text(f"healthy in {source}").first).to_be_visible()
    number = int(tab.url.rpartition("/")[2])
    pull = await whole.running.world.forge.pull(number)
    await tab.get_by_role("button", name="Approve").click()
    await expect(tab.locator(".done")).to_contain_text("recorded")
    reviews = await whole.running.world.forge.reviews(number)
    assert [(one.user, one.state, one.commit) for one in reviews] == [("reviewer", "approved", pull.head_sha)]
    await expect(tab.locator(".facts")).to_contain_text("merged", timeout=PATIENCE_MS)
    await expect(tab.get_by_role("button", name="Approve")).to_have_count(0, timeout=PATIENCE_MS)


async def _image(cluster: Cluster) -> str:
    resource = await cluster.resource("apps", "Deployment")
    assert resource is not None
    found = await cluster.get(resource, "shop", "web")
    assert found is not None
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]


async def _log_tells(tab: Page, whole: browsing.Whole, commit: str) -> None:
    await tab.goto(f"{whole.page.url}/log/prod")
    first = tab.locator("table.log tbody tr").first
    await expect(first).to_contain_text(SUBJECT)
    await expect(first).to_contain_text("reviewer")
    await expect(first).to_contain_text("staging")
    await expect(tab.locator("dl.figures div", has_text="bypasses").locator("dd")).to_have_text("0")
    await tab.locator("#filter").fill("no such change")
    await expect(tab.locator("#nothing")).to_be_visible()
    await tab.locator("#filter").fill("")
    await expect(first).to_contain_text("reviewer")
    await tab.get_by_label("kind").select_option("rollback")
    await expect(tab.locator("#nothing")).to_be_visible()


async def _environment_tells(tab: Page, whole: browsing.Whole) -> None:
    """The inventory that is shown is that of the cluster's Kustomization."""
    cluster = whole.running.world.clusters[EnvName("prod")]
    resource = await cluster.resource("kustomize.toolkit.fluxcd.io", "Kustomization", "v1")
    assert resource is not None
    manifest = await cluster.get(resource, "flux-system", "prod")
    assert manifest is not None
    entries = manifest["status"]["inventory"]["entries"]
    await tab.goto(f"{whole.page.url}/environment/prod")
    await expect(tab.get_by_role("heading", name=f"{len(entries)} objects")).to_be_visible()
    shown = await tab.locator(".tree li").count()
    assert shown == len(entries)
    await expect(tab.locator("main")).to_contain_text("ReconciliationSucceeded")


async def _open_pull(whole: browsing.Whole) -> int:
    """The number of the pull request to staging, once there is one."""
    await whole.push(IMAGE, SUBJECT)
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while True:
            if found := await _pulls_to_staging(whole):
                return found[0]
            await asyncio.sleep(0.1)


async def _pulls_to_staging(whole: browsing.Whole) -> list[int]:
    return [pull.number for pull in await whole.running.world.forge.pulls() if pull.head.endswith("staging/web")]


async def test_a_decision_counts_only_for_what_was_looked_at_and_once(chromium: Browser, whole: browsing.Whole) -> None:
    number = await _open_pull(whole)
    async with browsing.visit(chromium, whole.page, refused=True) as tab:
        path = f"{whole.page.url}/promotion/{number}"
        await tab.goto(path)
        head = tab.locator("input[name=head]")
        await expect(head).to_have_count(1)
        # Asking for changes wants words.
        await tab.get_by_role("button", name="Ask for changes").click()
        await expect(tab.locator(".problem")).to_contain_text("say which changes")
        # An approval of another head than the one there is now is none.
        await tab.goto(path)
        await head.evaluate("one => { one.value = '0'.repeat(40) }")
        await tab.get_by_role("button", name="Approve").click()
        await expect(tab.locator(".problem")).to_contain_text("changed while you looked")
        # Nor is one as somebody who is not here.
        await tab.goto(path)
        await tab.locator("[name=login]").evaluate("one => { one.value = 'developer' }")
        await tab.get_by_role("button", name="Approve").click()
        await expect(tab.locator(".problem")).to_contain_text("nobody of that name")
        assert await whole.running.world.forge.reviews(number) == []
        # Asked for with words, it is recorded, shown, and holds the promotion back.
        await tab.goto(path)
        await tab.get_by_placeholder("comment").fill("why <i>9.9.9</i>?")
        await tab.get_by_role("button", name="Ask for changes").click()
        await expect(tab.locator("main")).to_contain_text("why <i>9.9.9</i>?")
        await expect(tab.locator(".gates")).to_contain_text("changes requested by reviewer", timeout=PATIENCE_MS)
        await tab.get_by_placeholder("comment").fill("again")
        await tab.get_by_role("button", name="Ask for changes").click()
        await expect(tab.locator(".problem")).to_contain_text("decided so already")


@contextlib.asynccontextmanager
async def silent_cluster(asked: list[str]) -> AsyncIterator[str]:
    """The address of something that takes connections, which are counted, and never answers."""
    gone = asyncio.Event()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append("asked")
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        gone.set()
        server.close()
        await server.wait_closed()


async def _text(page: serving.WebPage, path: str) -> str:
    """A page, once it is not still asking; each answer comes soon, whoever is silent."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(page.sign_in_url):
            pass
        async with asyncio.timeout(60):
            while True:
                async with asyncio.timeout(10), session.get(page.url + path) as answer:
                    assert answer.status == 200
                    text = await answer.text()
                if "still asking" not in text:
                    return text


async def _world_with_a_silent_prod(whole: browsing.Whole, address: str, stack: contextlib.AsyncExitStack) -> World:
    world = whole.running.world
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "prod", "cluster": {"server": address}}],
        "users": [{"name": "prod", "user": {"token": "x"}}],
        "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "prod"}}],
        "current-context": "prod",
    }
    path = whole.folder / "silent.json"
    path.write_text(json.dumps(config))
    silent = await stack.enter_async_context(kube.connect(path, "prod"))
    return dataclasses.replace(world, clusters={**world.clusters, EnvName("prod"): silent})


async def test_a_cluster_that_does_not_answer_is_unknown_and_the_others_are_shown(whole: browsing.Whole, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(lookout, "CLUSTER_SECONDS", 0.5)
    asked: list[str] = []
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(silent_cluster(asked))
        world = await _world_with_a_silent_prod(whole, address, stack)
        async with serving.serve(world, port=0, token=TOKEN) as page:
            text = await _text(page, "/")
            assert "the cluster of prod does not answer" in text
            assert text.count('<td role="cell" class="unknown">') == 3
            assert text.count('<td role="cell" class="live">') + text.count('class="moving">') >= 6
            assert "did not answer within" in await _text(page, "/environment/prod")
            # It is left alone for a while: nobody waits for it again at every look.
            before = len(asked)
            page.poke()
            assert "the cluster of prod does not answer" in await _text(page, "/")
            assert len(asked) == before


async def test_a_forge_that_is_gone_leaves_git_and_clusters_to_be_seen(whole: browsing.Whole) -> None:
    from penstock.adapters.forge import connect

    async with connect("gitea", "http://127.0.0.1:9", "platform/fleet", token="x") as gone:
        world = dataclasses.replace(whole.running.world, forge=gone)
        async with serving.serve(world, port=0, token=TOKEN) as page:
            text = await _text(page, "/")
            assert "the forge cannot be asked" in text
            assert text.count('<th scope="row"') == 3
            assert sandbox.BOT not in text


async def test_a_conflict_is_settled_by_clicks_for_the_values_that_were_shown(chromium: Browser, whole: browsing.Whole) -> None:
    config = {
        "clusters/dev/apps/web/config.yaml": (r"checkout_timeout: \S+", "checkout_timeout: 20s"),
        "clusters/staging/apps/web/config.yaml": (r"checkout_timeout: \S+", "checkout_timeout: 60s"),
    }
    await whole.push(IMAGE | config, "two opinions")
    async with browsing.visit(chromium, whole.page, refused=True) as tab:
        await expect(cell(tab, "web", "staging")).to_contain_text("1 field in conflict", timeout=PATIENCE_MS)
        assert await _pulls_to_staging(whole) == []
        await tab.get_by_role("link", name="web", exact=True).first.click()
        row = tab.locator("table.diff tbody tr")
        await expect(row).to_contain_text("data.checkout_timeout")
        for text in ("20s", "60s", "clusters/dev/apps/web/config.yaml:", "clusters/staging/apps/web/config.yaml:"):
            await expect(row).to_contain_text(text)
        # What was decided about other values is no decision.
        await row.locator("input[value=take]").check()
        await tab.locator("input[name=stamp]").evaluate("one => { one.value = 'f'.repeat(24) }")
        await tab.get_by_role("button", name="Decide and propose").click()
        await expect(tab.locator(".problem")).to_contain_text("the values changed while you looked")
        assert await _pulls_to_staging(whole) == []
        await tab.get_by_role("link", name="Back").click()
        await row.locator("input[value=take]").check()
        await tab.get_by_role("button", name="Decide and propose").click()
        await expect(tab.locator(".done")).to_contain_text("Your decision is recorded")
        await expect(row).to_have_count(0, timeout=PATIENCE_MS)
        await tab.locator(".path > li").nth(1).get_by_role("link", name="PR #").click()
        after = tab.locator("tr", has_text="data.checkout_timeout").locator("td.after")
        await expect(after).to_contain_text("20s", timeout=PATIENCE_MS)


async def test_a_page_that_is_down_holds_nothing_up(whole: browsing.Whole) -> None:
    world = whole.running.world
    async with serving.serve(world, port=0, token=TOKEN) as page:
        assert "web" in await _text(page, "/")
    # That page is gone; one of a fleet whose facts cannot be had at all is as good as gone.
    broken = dataclasses.replace(world, clusters={})
    async with serving.serve(broken, port=0, token=TOKEN):
        await whole.push(IMAGE, SUBJECT)
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while not await _pulls_to_staging(whole):  # noqa: ASYNC110 - sync and promotion make it come true
                await asyncio.sleep(0.1)
    assert await _image(world.clusters[EnvName("dev")]) == "9.9.9"


async def test_a_sandbox_asks_no_cluster_of_the_person_who_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    async with silent_cluster(asked) as address:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": address}} for name in ENVIRONMENTS],
            "users": [{"name": "me", "user": {"token": "mine"}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in ENVIRONMENTS],
            "current-context": "dev",
        }
        path = tmp_path / "home" / ".kube" / "config"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(path))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        async with (
            fleet.sandbox(tmp_path / "state", sandbox.Options(rollout_seconds=0.2)) as running,
            serving.serve(running.world, port=0, token=TOKEN) as page,
            asyncio.timeout(PATIENCE_MS / 1000),
        ):
            while "healthy" not in await _text(page, "/"):  # noqa: ASYNC110 - sync makes it come true
                await asyncio.sleep(0.2)
    assert asked == []
