"""Signing in with a real Gitea, in a real Chromium: who may do what follows from their team, and what they do is done as them."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promotion_fleet
import pytest
from playwright.async_api import Browser, Page, expect

from penstock.adapters.clock import SystemClock
from penstock.adapters.forge import local_gitea, rest
from penstock.app import people, world
from penstock.model.people import Grant
from penstock.web import serving

PATIENCE_MS = 40_000
WORD = "a-word-that-only-tests-use-1"
_number = itertools.count(1)


@dataclass(kw_only=True)
class Signing:
    """A fleet on a real Gitea, and its page with Gitea as the identity provider."""

    fleet: promotion_fleet.Fleet
    page: serving.WebPage
    gitea: local_gitea.LocalGitea


@pytest.fixture
async def signing(tmp_path: Path, real_gitea: local_gitea.LocalGitea) -> AsyncIterator[Signing]:
    name = f"signing-in-{next(_number)}"
    async with contextlib.AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(promotion_fleet.running(tmp_path, real_gitea, name))
        for login in ("reviewer", "developer"):
            body = {"login_name": login, "source_id": 0, "password": WORD, "must_change_password": False}
            await real_gitea.admin("PATCH", f"/admin/users/{login}", body=body)
        port = local_gitea._free_port()
        client = await _application(real_gitea, f"http://127.0.0.1:{port}/sign-in/return")
        secret = tmp_path / "client-secret"
        secret.write_text(client["client_secret"])
        at = world.ForgeAt(kind="gitea", url=real_gitea.url, repository=f"platform/{name}", token_file=tmp_path / "unused")
        # How people sign in and what the team may do; who approves into staging stands in penstock.yaml on the base branch.
        web = people.WebAt(
            oidc=people.OidcAt(
                issuer=real_gitea.url + "/" if await _slash(real_gitea) else real_gitea.url,
                client_id=client["client_id"],
                client_secret_file=secret,
                name="Gitea",
                acts_on_forge=True,
            ),
            access=(Grant(role="viewer", environments=("dev", "staging"), users=("developer",)),),
        )
        opened = fleet.world()
        opened = dataclasses.replace(opened, clock=SystemClock(), fleet=dataclasses.replace(opened.fleet, forge=at, web=web))
        provider = await stack.enter_async_context(people.sign_in(web, opened.clock))
        entrance = serving.Entrance(provider=provider, grants=web.access)
        page = await stack.enter_async_context(serving.serve(opened, port=port, entrance=entrance))
        yield Signing(fleet=fleet, page=page, gitea=real_gitea)


async def _application(gitea: local_gitea.LocalGitea, redirect: str) -> dict[str, Any]:
    wanted = {"name": "Penstock", "redirect_uris": [redirect], "confidential_client": True}
    answer = await gitea.admin("POST", "/user/applications/oauth2", body=wanted)
    return rest.decode(answer.body, dict[str, Any])


async def _slash(gitea: local_gitea.LocalGitea) -> bool:
    """Whether this Gitea ends its own name with a slash."""
    import aiohttp

    async with aiohttp.ClientSession() as http, http.get(f"{gitea.url}/.well-known/openid-configuration") as answer:
        return str((await answer.json())["issuer"]).endswith("/")


async def enter(tab: Page, page: serving.WebPage, login: str, path: str = "/") -> None:
    """Sign in by clicks, beginning at a page that wants it."""
    await tab.goto(page.url + path)
    await tab.get_by_role("link", name="Sign in with Gitea").click()
    if await tab.locator("#user_name").count():
        await tab.locator("#user_name").fill(login)
        await tab.locator("#password").fill(WORD)
        await tab.locator("form button.primary, form button[type=submit]").first.click()
    grant = tab.locator("#authorize-app")
    with contextlib.suppress(Exception):
        await grant.wait_for(timeout=5000)
        await grant.click()
    await expect(tab.locator(".who")).to_be_visible(timeout=PATIENCE_MS)


async def test_a_person_signs_in_with_gitea_and_approves_as_themselves(chromium: Browser, signing: Signing) -> None:
    fleet = signing.fleet
    access = '  access:\n  - {role: approver, environments: [dev, staging], groups: ["platform:web"]}\n'
    text = await fleet.read("penstock.yaml")
    await fleet.commit("who may approve", {"penstock.yaml": re.sub(r"^spec:\n", "spec:\n" + access, text, count=1, flags=re.M)})
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    pull = await fleet.the_pull()
    context = await chromium.new_context()
    tab = await context.new_page()
    try:
        await enter(tab, signing.page, "reviewer", f"/promotion/{pull.number}")
        # Back at the page that was asked for, with the session's cookie out of reach of other sites.
        await expect(tab).to_have_url(f"{signing.page.url}/promotion/{pull.number}", timeout=PATIENCE_MS)
        cookies = [one for one in await context.cookies() if one["name"].startswith("penstock_web")]
        assert [(one["httpOnly"], one["sameSite"]) for one in cookies] == [(True, "Strict")]
        await tab.get_by_role("button", name="Approve").click()
        await expect(tab.locator(".done")).to_contain_text("recorded", timeout=PATIENCE_MS)
        reviews = await fleet.forges["penstock"].reviews(pull.number)
        assert [(one.user, one.state, one.commit) for one in reviews] == [("reviewer", "approved", pull.head_sha)]
        # prod is nobody's here: it is not there.
        await expect(tab.get_by_role("navigation", name="Pages").get_by_role("link")).to_have_text(["board", "dev", "staging"])
        await tab.goto(f"{signing.page.url}/environment/prod")
        await expect(tab.locator("h1")).to_have_text("Not Found")
        # The role goes with the base branch: what is open says so within seconds.
        await tab.goto(signing.page.url)
        await expect(tab.locator("#connection")).to_have_text("live")
        await fleet.commit("nobody may", {"penstock.yaml": text})
        await expect(tab.locator("main")).to_contain_text("nobody gave you a role", timeout=PATIENCE_MS)
        await tab.get_by_role("button", name="sign out").click()
        await expect(tab.locator("h1")).to_have_text("Sign in")
        await tab.goto(signing.page.url)
        await expect(tab.locator("h1")).to_have_text("Sign in")
    finally:
        await context.close()


async def test_a_viewer_sees_and_does_nothing_and_a_stranger_declines(chromium: Browser, signing: Signing) -> None:
    fleet = signing.fleet
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    pull = await fleet.the_pull()
    context = await chromium.new_context()
    tab = await context.new_page()
    try:
        await enter(tab, signing.page, "developer", f"/promotion/{pull.number}")
        await expect(tab.locator("h1")).to_contain_text("Promote web", timeout=PATIENCE_MS)
        await expect(tab.get_by_role("button", name="Approve")).to_have_count(0)
        status = await tab.evaluate(
            """async ([number, head]) => {
                const csrf = document.querySelector("[name=csrf]").value;
                const body = new URLSearchParams({csrf, head, login: "developer"});
                return (await fetch(`/promotion/${number}/approve`, {method: "POST", body})).status;
            }""",
            [pull.number, pull.head_sha],
        )
        assert status == 403
        assert await fleet.forges["penstock"].reviews(pull.number) == []
    finally:
        await context.close()
