"""What a person meets in a real Chromium: true, live, reachable by keyboard, legible on a phone, and nothing else active."""

from __future__ import annotations

import asyncio
import time

import browsing
import web_samples as samples
import web_served
from playwright.async_api import Browser, Page, expect

from penstock.web import serving, views

EVIL = (
    '"><img src=x onerror=window.pwned=1><script>window.pwned=1</script><svg onload=window.pwned=1>'
    "</table></body>{{7*7}}<a href=javascript:window.pwned=1>x</a>"
)


async def test_a_change_appears_without_a_reload(chromium: Browser, page: serving.WebPage, facts: samples.Facts) -> None:
    async with browsing.visit(chromium, page, now=samples.NOW) as tab:
        await expect(tab.locator("#connection")).to_have_text("live")
        await tab.evaluate("window.same = true")
        board = samples.board()
        cells = (board.lines[0].cells[0], views.Cell(environment="staging", mark="live", words="healthy, at last"))
        changed = views.Line(app="web", cells=(*cells, board.lines[0].cells[2]))
        new = views.Line(app="anew", cells=cells)
        facts.shown = samples.board(lines=(new, changed, *board.lines[1:3]), pending=board.pending[1:])
        page.poke()
        await expect(tab.locator("tr[data-name=web] td").nth(1)).to_contain_text("healthy, at last")
        assert await tab.locator("tbody tr").evaluate_all("rows => rows.map(row => row.dataset.name)") == [
            "anew",
            "web",
            "api",
            "cron",
        ]
        await expect(tab.locator(".pending li")).to_have_count(2)
        await expect(tab.locator("#announce")).not_to_be_empty()
        assert await tab.evaluate("window.same") is True


async def test_the_page_says_when_it_is_not_live_any_more(chromium: Browser, facts: samples.Facts) -> None:
    stack = web_served.serve(facts, ("dev",))
    page = await stack.__aenter__()
    context = await chromium.new_context()
    tab = await context.new_page()
    await tab.goto(page.sign_in_url)
    await expect(tab.locator("#connection")).to_have_text("live")
    await stack.__aexit__(None, None, None)
    await expect(tab.locator("#connection")).to_contain_text("not connected since")
    await context.close()


async def test_the_whole_page_can_be_walked_with_the_keyboard(chromium: Browser, page: serving.WebPage) -> None:
    async with browsing.visit(chromium, page) as tab:
        reached = []
        for _ in range(40):
            await tab.keyboard.press("Tab")
            here = await tab.evaluate(
                """() => { const one = document.activeElement; const style = getComputedStyle(one);
                return [one.getAttribute('href') || one.id || one.textContent, style.outlineStyle !== 'none']; }"""
            )
            reached.append(here[0])
            assert here[1], f"the focus cannot be seen on {here[0]}"
            if here[0] == "/app/cron" and reached.count("/app/cron") == 2:
                break
        assert reached[0] == "#main"
        wanted = {"/", "/environment/dev", "filter", "busy", "/app/web", "/promotion/14", "/app/cron", "sign out"}
        assert wanted <= set(reached)


async def test_the_filter_is_one_key_away(chromium: Browser, page: serving.WebPage) -> None:
    async with browsing.visit(chromium, page) as tab:
        rows = tab.locator("tbody tr:visible")
        await expect(rows).to_have_count(4)
        await tab.keyboard.press("/")
        await tab.keyboard.type("cr")
        await expect(rows).to_have_count(1)
        await tab.keyboard.type("zz")
        await expect(tab.locator("#nothing")).to_be_visible()
        await tab.keyboard.press("Escape")
        await expect(rows).to_have_count(4)
        await tab.locator("#busy").check()
        await expect(rows).to_have_count(3)


async def test_the_focus_stays_where_it_is_when_its_row_is_replaced(
    chromium: Browser, page: serving.WebPage, facts: samples.Facts
) -> None:
    async with browsing.visit(chromium, page) as tab:
        await expect(tab.locator("#connection")).to_have_text("live")
        await tab.locator("a[href='/app/web']").focus()
        board = samples.board()
        line = views.Line(app="web", cells=tuple(reversed(board.lines[0].cells)))
        facts.shown = samples.board(lines=(line, *board.lines[1:]))
        page.poke()
        await expect(tab.locator("tr[data-name=web].fresh")).to_have_count(1)
        assert await tab.evaluate("document.activeElement.getAttribute('href')") == "/app/web"


async def test_no_page_is_wider_than_the_screen(chromium: Browser, page: serving.WebPage, facts: samples.Facts) -> None:
    long = "a-name-without-any-place-to-break-" * 6
    board = samples.board()
    facts.shown = samples.board(
        lines=(*board.lines, views.Line(app=long, cells=board.lines[0].cells)),
        tip=views.Commit(id=samples.SHA, subject=long, author=long),
    )
    facts.promoted = samples.promotion(title=long, branch=long, words=long, verdict=long)
    for size in (browsing.PHONE, browsing.DESK, {"width": 320, "height": 600}):
        async with browsing.visit(chromium, page, size=size) as tab:
            for path in browsing.PAGES:
                await tab.goto(page.url + path)
                width, room = await tab.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
                assert width <= room, (path, size)


async def test_a_tab_that_nobody_sees_costs_nothing_and_catches_up(
    chromium: Browser, page: serving.WebPage, facts: samples.Facts
) -> None:
    turn = """state => { Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
        document.dispatchEvent(new Event("visibilitychange")); }"""
    async with browsing.visit(chromium, page) as tab:
        await expect(tab.locator("#connection")).to_have_text("live")
        await tab.evaluate(turn, "hidden")
        async with asyncio.timeout(20):
            asked = -1
            while asked != facts.asked:
                asked = facts.asked
                await asyncio.sleep(2.5)
        facts.shown = samples.board(lines=samples.board().lines[:1])
        await tab.evaluate(turn, "visible")
        await expect(tab.locator("tbody tr")).to_have_count(1)


async def test_hostile_names_and_values_leave_no_active_node(
    chromium: Browser, page: serving.WebPage, facts: samples.Facts
) -> None:
    board = samples.board()
    cell = views.Cell(environment=EVIL, mark="broken", words=EVIL, commit=views.Commit(id=EVIL, subject=EVIL), detail=(EVIL,))
    hostile = views.Line(app=EVIL, cells=(cell, cell, cell))
    facts.shown = samples.board(
        lines=(hostile,), tip=views.Commit(id=EVIL, subject=EVIL, author=EVIL), problems=(EVIL,), branch=EVIL
    )
    row = samples.promotion().rows[0]
    facts.promoted = samples.promotion(
        title=EVIL, url="javascript:window.pwned=1", body=EVIL, verdict=EVIL, rows=(row,) * 2, branch=EVIL
    )
    async with browsing.visit(chromium, page) as tab:
        await expect(tab.locator("tbody th")).to_contain_text("<script>")
        await _nothing_active(tab)
        # The same texts by the live stream, where a script inserts them.
        await expect(tab.locator("#connection")).to_have_text("live")
        facts.shown = samples.board(lines=(views.Line(app=f"2{EVIL}", cells=(cell,)), *board.lines), problems=(EVIL, EVIL))
        page.poke()
        await expect(tab.locator("tbody tr")).to_have_count(5)
        await _nothing_active(tab)
        await tab.goto(f"{page.url}/promotion/14")
        await tab.locator("summary").click()
        await expect(tab.locator("pre")).to_contain_text("<script>")
        await _nothing_active(tab)


async def _nothing_active(tab: Page) -> None:
    assert await tab.evaluate("window.pwned") is None
    assert await tab.locator("img, iframe, object, embed, style, [onerror], [onload], [onclick]").count() == 0
    assert await tab.locator("script").count() == 1
    assert await tab.locator("a[href^='javascript' i], a[href^='data' i]").count() == 0


async def test_inline_code_would_not_run_even_if_it_got_in(chromium: Browser, page: serving.WebPage) -> None:
    context = await chromium.new_context()
    tab = await context.new_page()
    await tab.goto(page.sign_in_url)
    await tab.evaluate(
        """() => { const script = document.createElement('script'); script.textContent = 'window.pwned = 1';
        document.body.append(script); const image = document.createElement('img');
        image.setAttribute('onerror', 'window.pwned = 1'); image.src = 'http://127.0.0.1:9/x'; document.body.append(image); }"""
    )
    await tab.wait_for_timeout(200)
    assert await tab.evaluate("window.pwned") is None
    await context.close()


async def test_every_table_and_landmark_is_named_for_those_who_listen(chromium: Browser, page: serving.WebPage) -> None:
    async with browsing.visit(chromium, page) as tab:
        for path in browsing.PAGES:
            await tab.goto(page.url + path)
            assert await tab.locator("main").count() == 1
            assert await tab.locator("h1").count() == 1
            assert await tab.locator("html[lang]").count() == 1
            unnamed = "nav:not([aria-label]), th:not([scope]), input:not([type=hidden]):not([aria-label])"
            found = await tab.locator(unnamed).evaluate_all(
                "all => all.filter(one => !one.labels?.length).map(one => one.outerHTML)"
            )
            assert found == [], path
            ids = await tab.locator("[id]").evaluate_all("all => all.map(one => one.id)")
            assert len(ids) == len(set(ids)), path
        await tab.goto(page.url)
        tree = await tab.locator("main").aria_snapshot()
        assert 'table "Apps and environments"' in tree
        assert 'rowheader "web"' in tree
        assert "live and healthy:" in tree
        assert "waits for a person:" in tree


async def test_on_a_phone_a_row_is_still_a_row_for_those_who_listen(chromium: Browser, page: serving.WebPage) -> None:
    async with browsing.visit(chromium, page, size=browsing.PHONE) as tab:
        for path, header in zip(browsing.PAGES, ("web", "data.checkout_timeout", "spec.replicas", "Ready", "2026"), strict=True):
            await tab.goto(page.url + path)
            tree = await tab.locator("main").aria_snapshot()
            assert "- table" in tree, path
            assert any("rowheader" in line and header in line for line in tree.splitlines()), path


async def test_a_big_board_is_painted_soon_and_updated_at_once(
    chromium: Browser, page: serving.WebPage, facts: samples.Facts
) -> None:
    cells = samples.board().lines[0].cells
    five = tuple(views.Cell(environment=f"env{number}", mark=cells[number % 3].mark, words="healthy") for number in range(5))
    lines = tuple(views.Line(app=f"app-{number}", cells=five) for number in range(500))
    facts.shown = samples.board(lines=lines)
    async with browsing.visit(chromium, page) as tab:
        await tab.goto(page.url)
        await expect(tab.locator("tbody tr")).to_have_count(100)
        painted = await tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        await expect(tab.locator("#connection")).to_have_text("live")
        changed = views.Line(app="app-40", cells=(views.Cell(environment="env0", mark="broken", words="failing"), *five[1:]))
        facts.shown = samples.board(lines=(*lines[:40], changed, *lines[41:]))
        began = time.perf_counter()
        page.poke()
        await expect(tab.locator("tr[data-name=app-40]")).to_contain_text("failing")
        took = time.perf_counter() - began
        print(f"500 x 5: first paint {painted:.0f} ms, update {took * 1000:.0f} ms")
        # Far above what is measured (see docs/reference/web.md): what fails here is a page that hangs, not a busy machine.
        assert painted < 5000
        assert took < 5
