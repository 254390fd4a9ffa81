"""The sandbox forge as people, git clients and crashes meet it (its API has the contract suite)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from penstock.adapters import git
from penstock.model.errors import RefusedError
from penstock.model.values import CommitId
from penstock.ports.repo import Signature
from penstock.sandbox import forge
from penstock.sandbox.forge import markdown

AUTHOR = Signature(name="Dev", email="dev@example.com", when=datetime(2026, 3, 2, tzinfo=UTC))


@contextlib.asynccontextmanager
async def fleet(folder: Path, **rules: Any) -> AsyncIterator[forge.Server]:
    async with forge.serve(folder / "forge") as server:
        await server.create_repo("fleet", owner="platform", **rules)
        yield server


@contextlib.asynccontextmanager
async def browser(server: forge.Server, user: str | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        if user:
            async with session.get(server.sign_in_url(user).removeprefix(server.url)) as page:
                assert page.status == 200
                assert "token=" not in str(page.url), "the token does not stay in the address bar"
        yield session


async def git_command(*arguments: str, folder: Path) -> tuple[int, str]:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Dev", "GIT_AUTHOR_EMAIL": "d@x", "GIT_COMMITTER_NAME": "Dev", "GIT_COMMITTER_EMAIL": "d@x",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def api(server: forge.Server, method: str, path: str, user: str = "penstock", **body: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"token {server.token(user)}"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{server.url}/api/v1{path}", headers=headers, json=body or None) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text) if text else None


async def proposed(server: forge.Server, folder: Path, *, title: str = "Promote web", body: str = "because") -> CommitId:
    """Pull request 1 from promote/web, by penstock; its head."""
    mirror = git.Mirror(server.clone_url("fleet", user="developer"), folder / "writer.git")
    base = mirror.write_commit([], {"a.yaml": b"replicas: 1\n"}, message="base", author=AUTHOR)
    head = mirror.write_commit([base], {"a.yaml": b"replicas: 2\n"}, message="more", author=AUTHOR)
    await mirror.push("main", base, expect=None)
    await mirror.push("promote/web", head, expect=None)
    status, _ = await api(server, "POST", "/repos/platform/fleet/pulls", title=title, body=body, head="promote/web", base="main")
    assert status == 201
    return head


async def test_the_ordinary_git_client_clones_commits_and_pushes(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server:
        pushes: list[forge.Push] = []
        server.on_push(pushes.append)
        code, output = await git_command("clone", "-q", server.clone_url("fleet", user="developer"), "work", folder=tmp_path)
        assert code == 0, output
        work = tmp_path / "work"
        (work / "big.bin").write_bytes(os.urandom(3_000_000))  # more than git sends unchunked
        (work / "a.yaml").write_text("a: 1\n" * 20_000)
        for arguments in (["add", "."], ["commit", "-qm", "first"], ["push", "-q", "origin", "HEAD:main"]):
            code, output = await git_command(*arguments, folder=work)
            assert code == 0, output
        assert [(push.ref, push.before, push.user) for push in pushes] == [("refs/heads/main", "0" * 40, "developer")]
        for options in (["--depth=1"], ["--filter=blob:none", "--bare"], ["-c", "protocol.version=0"]):
            target = f"clone-{options[0].strip('-')}"
            code, output = await git_command(
                "clone", "-q", *options, server.clone_url("fleet", user="reviewer"), target, folder=tmp_path
            )
            assert code == 0, output
        code, output = await git_command("fsck", "--full", folder=tmp_path / "clone-c")
        assert code == 0, output


async def test_a_fetch_with_much_to_negotiate_sends_its_request_packed(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server:
        mirror = git.Mirror(server.clone_url("fleet", user="developer"), tmp_path / "m")
        tip = mirror.write_commit([], {"a": b"0"}, message="0", author=AUTHOR)
        await mirror.push("main", tip, expect=None)
        wanted = f"0032want {tip}\n"
        body = gzip.compress((wanted + "00000009done\n").encode())
        headers = {"Content-Type": "application/x-git-upload-pack-request", "Content-Encoding": "gzip"}
        headers["Authorization"] = f"token {server.token('developer')}"
        url = f"{server.url}/platform/fleet.git/git-upload-pack"
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
            assert answer.status == 200
            assert b"PACK" in await answer.read()


async def test_strangers_get_nothing(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server:
        code, output = await git_command("ls-remote", server.clone_url("fleet"), folder=tmp_path)
        assert code == 128, output
        wrong = server.clone_url("fleet", user="developer").replace(server.token("developer"), "0" * 40)
        code, output = await git_command("ls-remote", wrong, folder=tmp_path)
        assert code == 128, output
        other = server.clone_url("fleet", user="developer").replace("developer:", "reviewer:")
        code, output = await git_command("ls-remote", other, folder=tmp_path)
        assert code == 128, "one user's name with another's token is nobody"
        async with browser(server) as session:
            for path in ("/", "/platform/fleet", "/platform/fleet/pulls/1", "/platform/fleet/pulls/1.diff", "/sign-in?token=x"):
                async with session.get(path) as page:
                    assert page.status == 401, path
            for path in ("/api/v1/user", "/api/v1/repos/platform/fleet", "/api/v1/repos/platform/fleet/pulls"):
                async with session.get(path) as page:
                    assert page.status == 401, path


async def test_only_the_loopback_address_is_a_host(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server, aiohttp.ClientSession() as session:
        port = server.url.rsplit(":", 1)[1]
        for host, status in (
            ("evil.example", 421),
            (f"evil.example:{port}", 421),
            ("127.0.0.1", 421),
            (f"localhost:{port}", 200),
        ):
            async with session.get(f"{server.url}/api/v1/version", headers={"Host": host}) as answer:
                assert answer.status == status, host


async def test_what_is_not_emulated_says_so(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server:
        for path in ("/repos/platform/fleet/releases", "/admin/users", "/nothing"):
            status, body = await api(server, "GET", path)
            assert status == 501
            assert "not in the sandbox" in body["message"]


async def test_bad_requests_are_refused_in_words(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server:
        await proposed(server, tmp_path)
        repo = "/repos/platform/fleet"
        for method, path, body, expected in (
            ("POST", f"{repo}/pulls", {"title": "", "head": "promote/web", "base": "main"}, 422),
            ("POST", f"{repo}/pulls", {"title": 7, "head": "promote/web", "base": "main"}, 422),
            ("PATCH", f"{repo}/pulls/1", {"state": "half"}, 422),
            ("POST", f"{repo}/pulls/1/reviews", {"event": "WHATEVER", "body": "x"}, 501),
            ("POST", f"{repo}/pulls/1/merge", {"Do": "octopus"}, 501),
            ("POST", f"{repo}/issues/1/comments", {"body": " "}, 422),
            ("GET", f"{repo}/pulls?page=x", {}, 422),
            ("POST", "/user/repos", {"name": "../x"}, 422),
            ("POST", "/orgs/platform/repos", {"name": "fleet"}, 409),
            ("GET", "/repos/platform/none", {}, 404),
        ):
            status, answer = await api(server, method, path, **body)
            assert (status, bool(answer["message"])) == (expected, True), (method, path, answer)
        headers = {"Authorization": f"token {server.token('penstock')}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            for text in ("{", "[]", "7"):
                async with session.post(f"{server.url}/api/v1{repo}/pulls", data=text) as page:
                    assert page.status == 422


async def test_a_reviewer_reads_approves_and_merges_in_the_browser(tmp_path: Path) -> None:
    async with fleet(tmp_path, required_approvals=1) as server, browser(server, "reviewer") as session:
        head = await proposed(server, tmp_path, body="**Same configuration** as dev\n\n| a | b |\n|---|---|\n| 1 | 2 |")
        async with session.get("/platform/fleet") as page:
            assert 'href="/platform/fleet/pulls/1"' in await page.text()
        async with session.get("/platform/fleet/pulls/1") as page:
            text = await page.text()
            assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "<strong>Same configuration</strong>" in text
        assert "<td>2</td>" in text
        assert "+replicas: 2" in text
        assert "Does not have enough approvals (0 of 1)" in text
        form = {"csrf": csrf(text), "sha": head}
        async with session.post("/platform/fleet/pulls/1/merge", data=form | {"style": "merge"}) as page:
            assert page.status == 405
        async with session.post("/platform/fleet/pulls/1/review", data=form | {"state": "APPROVED", "body": "fine"}) as page:
            assert "<b>reviewer</b> approved" in await page.text()
        async with session.post("/platform/fleet/pulls/1/merge", data=form | {"style": "squash"}) as page:
            assert "Merged by reviewer" in await page.text()
        status, pull = await api(server, "GET", "/repos/platform/fleet/pulls/1")
        assert (status, pull["merged"], pull["merged_by"]["login"]) == (200, True, "reviewer")


async def test_a_page_that_is_out_of_date_merges_nothing(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server, browser(server, "reviewer") as session:
        head = await proposed(server, tmp_path)
        async with session.get("/platform/fleet/pulls/1") as page:
            text = await page.text()
        mirror = git.Mirror(server.clone_url("fleet", user="developer"), tmp_path / "writer.git")
        later = mirror.write_commit([head], {"a.yaml": b"replicas: 666\n"}, message="sneaked in", author=AUTHOR)
        await mirror.push("promote/web", later, expect=head)
        async with session.post(
            "/platform/fleet/pulls/1/merge", data={"csrf": csrf(text), "sha": head, "style": "merge"}
        ) as page:
            assert page.status == 409
            assert "head out of date" in await page.text()


async def test_nothing_is_done_without_the_sessions_own_form(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server, browser(server, "reviewer") as session, browser(server, "developer") as other:
        head = await proposed(server, tmp_path)
        async with other.get("/platform/fleet/pulls/1") as page:
            foreign = csrf(await page.text())
        async with session.get("/platform/fleet/pulls/1") as page:
            own = csrf(await page.text())
        for token, headers in ((foreign, {}), ("", {}), ("0" * 64, {}), (own, {"Sec-Fetch-Site": "cross-site"})):
            form = {"csrf": token, "sha": head, "style": "merge"}
            async with session.post("/platform/fleet/pulls/1/merge", data=form, headers=headers) as page:
                assert page.status == 403
        _, pull = await api(server, "GET", "/repos/platform/fleet/pulls/1")
        assert pull["state"] == "open"


async def test_the_author_is_not_offered_to_approve(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server, browser(server, "penstock") as session:
        head = await proposed(server, tmp_path)
        async with session.get("/platform/fleet/pulls/1") as page:
            text = await page.text()
        assert 'value="APPROVED"' not in text
        form = {"csrf": csrf(text), "sha": head, "state": "APPROVED", "body": ""}
        async with session.post("/platform/fleet/pulls/1/review", data=form) as page:
            assert page.status == 422


async def test_signing_in_leads_only_to_our_own_pages(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server, browser(server) as session:
        token = server.token("reviewer")
        for to in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/%0d%0aX: y"):
            async with session.get("/sign-in", params={"token": token, "to": to}, allow_redirects=False) as answer:
                location = answer.headers["Location"]
                assert location.startswith("/")
                assert not location.startswith(("//", "/\\"))
                assert "X" not in answer.headers
                assert "HttpOnly" in answer.headers["Set-Cookie"]
                assert "SameSite=Strict" in answer.headers["Set-Cookie"]


HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)>" onload="x [a](javascript:alert(1)) `<b>` **<i>**'


async def test_hostile_words_stay_words(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server, browser(server, "reviewer") as session:
        await proposed(server, tmp_path, title=HOSTILE, body=HOSTILE)
        await api(server, "POST", "/repos/platform/fleet/issues/1/comments", body=HOSTILE)
        await api(server, "POST", "/repos/platform/fleet/pulls/1/reviews", "reviewer", event="COMMENT", body=HOSTILE)
        for path in ("/platform/fleet", "/platform/fleet/pulls/1"):
            async with session.get(path) as page:
                text = await page.text()
            for active in ("<script", "<img", "<b>`", "<i>", 'href="javascript', 'onload="x'):
                assert active not in text, (path, active)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# A\nb\nc", "<h3>A</h3>\n<p>b c</p>"),
        ("> **x**\n> y", "<blockquote><p><strong>x</strong> y</p></blockquote>"),
        ("- a\n- `b`", "<ul><li>a</li><li><code>b</code></li></ul>"),
        ("```yaml\n<a>: 1\n```", "<pre><code>&lt;a&gt;: 1</code></pre>"),
        (
            "<details><summary>s</summary>\n\n- x\n</details>\nafter",
            "<details><summary>s</summary><ul><li>x</li></ul></details>\n<p>after</p>",
        ),
        (
            "at https://x.example/a_b",
            '<p>at <a href="https://x.example/a_b" rel="noopener noreferrer">https://x.example/a_b</a></p>',
        ),
        ("<details>\nnever closed", "<details><summary>details</summary><p>never closed</p></details>"),
        ("snake_case_name and 2*3*4", "<p>snake_case_name and 2*3*4</p>"),
    ],
)  # fmt: skip
def test_markdown_is_a_small_closed_dialect(text: str, html: str) -> None:
    assert str(markdown.render(text)) == html


@pytest.mark.parametrize("text", ["<details>" * 3000, ">" * 20000, "|" * 50000 + "\n|-|\n", "[" * 20000, "*" * 20001, "`" * 9999])
def test_markdown_takes_anything_in_short_time(text: str) -> None:
    markdown.render(text)


async def test_a_taken_port_is_said_plainly(tmp_path: Path) -> None:
    async with forge.serve(tmp_path / "one") as server:
        with pytest.raises(RefusedError) as refused:
            async with forge.serve(tmp_path / "two", port=int(server.url.rsplit(":", 1)[1])):
                pass
    assert refused.value.code == "PortInUse"


async def test_one_folder_has_one_server(tmp_path: Path) -> None:
    async with forge.serve(tmp_path / "forge"):
        with pytest.raises(RefusedError) as refused:
            async with forge.serve(tmp_path / "forge"):
                pass
    assert refused.value.code == "StateInUse"
    async with forge.serve(tmp_path / "forge"):
        pass


async def test_tokens_and_everything_else_survive_a_restart(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server:
        head = await proposed(server, tmp_path)
        tokens = {user: server.token(user) for user in server.users}
    async with forge.serve(tmp_path / "forge") as server:
        assert {user: server.token(user) for user in server.users} == tokens
        _, pull = await api(server, "GET", "/repos/platform/fleet/pulls/1")
        assert (pull["state"], pull["head"]["sha"]) == ("open", head)
    assert (tmp_path / "forge" / "forge.sqlite").stat().st_mode & 0o077 == 0


async def test_a_merge_cut_off_before_it_was_written_down_is_found_again(tmp_path: Path) -> None:
    """The branch has moved, the row has not: as after a kill between the two."""
    for style in ("merge", "squash"):
        folder = tmp_path / style
        async with fleet(folder) as server:
            head = await proposed(server, folder)
            await api(server, "POST", "/repos/platform/fleet/pulls/1/merge", Do=style, head_commit_id=head)
            _, before = await api(server, "GET", "/repos/platform/fleet/pulls/1")
        with sqlite3.connect(folder / "forge" / "forge.sqlite") as rows:
            rows.execute("update pulls set state = 'open', merged = null, closed = null, closed_by = '', base_sha = ''")
        rows.close()
        async with forge.serve(folder / "forge") as server:
            _, after = await api(server, "GET", "/repos/platform/fleet/pulls/1")
            assert after["merged_by"]["login"] == before["merged_by"]["login"] == "penstock"
            same = ("state", "merged", "merge_commit_sha", "base_sha")
            after["base_sha"], before["base_sha"] = after["base"]["sha"], before["base"]["sha"]
            assert {key: after[key] for key in same} == {key: before[key] for key in same}


async def test_a_merge_cut_off_before_the_branch_moved_never_happened(tmp_path: Path) -> None:
    async with fleet(tmp_path) as server:
        head = await proposed(server, tmp_path)
    with sqlite3.connect(tmp_path / "forge" / "forge.sqlite") as rows:
        rows.execute("update pulls set merge_sha = ?, merged_by = 'reviewer'", ("1" * 40,))
    rows.close()
    async with forge.serve(tmp_path / "forge") as server:
        _, pull = await api(server, "GET", "/repos/platform/fleet/pulls/1")
        assert (pull["state"], pull["merged"], pull["merge_commit_sha"]) == ("open", False, None)
        status, _ = await api(server, "POST", "/repos/platform/fleet/pulls/1/merge", Do="merge", head_commit_id=head)
        assert status == 200


_SERVER = """
import asyncio, pathlib, sys
from penstock.sandbox import forge
async def main():
    async with forge.serve(pathlib.Path(sys.argv[1])) as server:
        await server.create_repo("fleet", owner="platform")
        print(server.url, server.token("developer"), flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: dict[str, CommitId] = {}
    for delay in (0.05, 0.12, 0.3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _SERVER, str(tmp_path / "forge"), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        url, token = (await process.stdout.readline()).decode().split()
        held = git.Credentials(username="developer", password=token)
        mirror = git.Mirror(f"{url}/platform/fleet.git", tmp_path / "m", credentials=held)
        await mirror.fetch()
        assert dict(mirror.branches()).items() >= acknowledged.items()

        async def push_on(mirror: git.Mirror = mirror, delay: float = delay) -> None:
            for number in range(1000):
                name = f"b-{delay}-{number}"
                made = mirror.write_commit([], {"a": name.encode()}, message=name, author=AUTHOR)
                await mirror.push(name, made, expect=None)
                acknowledged[name] = made

        pushing = asyncio.create_task(push_on())
        async with asyncio.timeout(20):
            while len([name for name in acknowledged if name.startswith(f"b-{delay}-")]) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await asyncio.sleep(delay)
        process.send_signal(signal.SIGKILL)
        with contextlib.suppress(Exception):
            await pushing
        await process.wait()
    assert len(acknowledged) >= 6
    async with forge.serve(tmp_path / "forge") as server:
        mirror = git.Mirror(server.clone_url("fleet", user="developer"), tmp_path / "fresh")
        await mirror.fetch()
        assert dict(mirror.branches()).items() >= acknowledged.items()
        for repository in (tmp_path / "forge" / "repositories").iterdir():
            code, output = await git_command(f"--git-dir={repository}", "fsck", "--full", "--strict", folder=tmp_path)
            assert code == 0, output


def csrf(text: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', text)
    assert found
    return found[1]


async def test_clients_that_leave_in_the_middle_are_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with fleet(tmp_path) as server:
        mirror = git.Mirror(server.clone_url("fleet", user="developer"), tmp_path / "m")
        tip = mirror.write_commit([], {"a": os.urandom(1_000_000)}, message="0", author=AUTHOR)
        await mirror.push("main", tip, expect=None)
        port = int(server.url.rsplit(":", 1)[1])
        body = f"0032want {tip}\n00000009done\n".encode()
        kind = "application/x-git-upload-pack-request"
        import time

        for sent in (body, body[:20]):
            print("T", time.time())
            for _ in range(10):  # more than there are places for git processes
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(
                    f"POST /platform/fleet.git/git-upload-pack HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\n"
                    f"Authorization: token {server.token('developer')}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                    + sent
                )
                await writer.drain()
                if sent == body:
                    await reader.read(1000)
                writer.transport.abort()
        async with asyncio.timeout(60):
            await git.Mirror(server.clone_url("fleet", user="reviewer"), tmp_path / "after").fetch()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
