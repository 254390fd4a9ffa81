"""Nobody sees or does anything without having been let in."""

from __future__ import annotations

import re

import aiohttp
import pytest
import web_served
from web_served import TOKEN, Served

from penstock.web import access, routing

ROUTES = {
    ("GET", "/"): "/",
    ("GET", "/app/{name}"): "/app/web",
    ("GET", "/promotion/{name}"): "/promotion/14",
    ("POST", "/promotion/{name}/approve"): "/promotion/14/approve",
    ("POST", "/promotion/{name}/ask"): "/promotion/14/ask",
    ("POST", "/promotion/{name}/merge"): "/promotion/14/merge",
    ("POST", "/promotion/{name}/close"): "/promotion/14/close",
    ("POST", "/app/{name}/decide"): "/app/web/decide",
    ("POST", "/app/{name}/rollback"): "/app/web/rollback",
    ("POST", "/app/{name}/hold"): "/app/web/hold",
    ("POST", "/app/{name}/release"): "/app/web/release",
    ("POST", "/environment/{name}/rollback"): "/environment/dev/rollback",
    ("POST", "/environment/{name}/freeze"): "/environment/dev/freeze",
    ("POST", "/environment/{name}/thaw"): "/environment/dev/thaw",
    ("GET", "/sessions"): "/sessions",
    ("POST", "/sessions/end"): "/sessions/end",
    ("GET", "/environment/{name}"): "/environment/dev",
    ("GET", "/log/{name}"): "/log/dev",
    ("GET", "/events"): "/events?of=/",
    ("POST", "/sign-out"): "/sign-out",
}
PUBLIC = {
    ("GET", "/sign-in"): "/sign-in",
    ("POST", "/sign-in"): "/sign-in",
    ("GET", "/sign-in/start"): "/sign-in/start",
    ("GET", "/sign-in/return"): "/sign-in/return",
    ("GET", "/healthz"): "/healthz",
    ("GET", "/-/{digest}/{name}"): "/-/any/style.css",
}
SECRETS = ("checkout timeout", "4be1c02", "web:1.5.0", "ImagePullBackOff")


def test_every_route_has_an_entry_here() -> None:
    declared = {(route.method, re.sub(r"\{(\w+):.*?\}(?=/|$)", r"{\1}", route.path)) for route in routing.ROUTES}
    assert declared == set(ROUTES) | set(PUBLIC)


@pytest.mark.parametrize(("method", "path"), [(key[0], path) for key, path in ROUTES.items()])
@pytest.mark.parametrize("tail", ["", "/", "//", "?x=/healthz", "#/-/", ";/-/x"])
async def test_a_stranger_is_told_nothing(served: Served, method: str, path: str, tail: str) -> None:
    async with served.http.request(method, served.url + path + tail, allow_redirects=False) as answer:
        text = await answer.text()
    assert answer.status in (401, 404)
    assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", [path.partition("?")[0] for path in ROUTES.values()])
async def test_no_other_method_leads_around_the_door(served: Served, method: str, path: str) -> None:
    async with served.http.request(method, served.url + path, allow_redirects=False) as answer:
        text = await answer.text()
    assert answer.status == 401
    assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize("path", ["//", "/%2e%2e/", "/-/../", "/-/%2e%2e/", "/healthz/../", "/HEALTHZ", "/-/x/../../app/web"])
async def test_no_spelling_of_a_path_leads_around_the_door(served: Served, path: str) -> None:
    import yarl

    async with served.http.get(yarl.URL(served.url + path, encoded=True), allow_redirects=False) as answer:
        text = await answer.text()
    assert answer.status in (401, 404)
    assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize("path", [*ROUTES.values(), *PUBLIC.values()])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1.evil.example:{port}", ""])
async def test_a_foreign_host_gets_nowhere(served: Served, path: str, host: str) -> None:
    signed_in = await served.signed_in()
    port = served.url.rpartition(":")[2]
    async with signed_in.get(served.url + path, headers={"Host": host.format(port=port)}) as answer:
        text = await answer.text()
    assert answer.status == 421
    assert "Penstock" not in text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
async def test_its_own_names_are_fine(served: Served, host: str) -> None:
    port = served.url.rpartition(":")[2]
    async with served.http.get(f"{served.url}/healthz", headers={"Host": f"{host}:{port}"}) as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")


@pytest.mark.parametrize("path", [*ROUTES.values(), *PUBLIC.values(), "/nowhere", "/promotion/0", "/app/gone"])
async def test_every_answer_has_the_headers(served: Served, path: str) -> None:
    signed_in = await served.signed_in()
    for session in (served.http, signed_in):
        async with session.get(served.url + path, allow_redirects=False) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store" or path.startswith("/-/")


async def test_a_wrong_token_begins_no_session(served: Served) -> None:
    for token in ("", "wrong", TOKEN[:-1], TOKEN + "x", "ä" * 40):
        async with served.http.get(f"{served.url}/sign-in", params={"token": token}, allow_redirects=False) as answer:
            assert "Set-Cookie" not in answer.headers
            assert answer.status in (200, 401)
            assert token == "" or token not in await answer.text()


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(served: Served) -> None:
    async with served.http.get(served.page.sign_in_url, allow_redirects=False) as answer:
        cookie = answer.headers["Set-Cookie"]
        assert answer.headers["Location"] == "/"
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert served.url.rpartition(":")[2] in cookie.partition("=")[0]
    assert TOKEN not in cookie


async def test_a_session_id_the_browser_brings_along_is_not_taken(served: Served) -> None:
    name = f"penstock_web_{served.url.rpartition(':')[2]}"
    headers = {"Cookie": f"{name}=chosen-by-somebody-else"}
    async with served.http.get(served.page.sign_in_url, headers=headers, allow_redirects=False) as answer:
        assert "chosen-by-somebody-else" not in answer.headers["Set-Cookie"]
    async with aiohttp.ClientSession() as other, other.get(served.url, headers=headers) as answer:
        assert answer.status == 401


async def test_a_session_ends_after_its_time(served: Served) -> None:
    signed_in = await served.signed_in()
    served.clock.ahead = access.SESSION.total_seconds() - 60
    async with signed_in.get(served.url) as answer:
        assert answer.status == 200
    served.clock.ahead = access.SESSION.total_seconds() + 1
    async with signed_in.get(served.url) as answer:
        assert answer.status == 401


async def test_signing_out_ends_the_session_for_good(served: Served) -> None:
    signed_in = await served.signed_in()
    csrf = await csrf_of(served, signed_in)
    kept = "; ".join(f"{cookie.key}={cookie.value}" for cookie in signed_in.cookie_jar)
    assert kept
    async with signed_in.post(f"{served.url}/sign-out", data={"csrf": csrf}, allow_redirects=False) as answer:
        assert answer.status == 303
    async with served.http.get(served.url, headers={"Cookie": kept}) as answer:
        assert answer.status == 401


async def csrf_of(served: Served, session: aiohttp.ClientSession) -> str:
    async with session.get(served.url) as answer:
        found = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("headers", "given", "status"),
    [
        ({}, None, 403),
        ({}, "wrong", 403),
        ({"Sec-Fetch-Site": "cross-site"}, "right", 403),
        ({"Sec-Fetch-Site": "same-site"}, "right", 403),
        ({"Origin": "http://evil.example"}, "right", 403),
        ({"Content-Type": "text/plain"}, "right", 415),
        ({"Content-Type": "application/json"}, "right", 415),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, "right", 303),
        ({}, "right", 303),
    ],
)
async def test_a_change_counts_only_from_the_page_itself(
    served: Served, headers: dict[str, str], given: str | None, status: int
) -> None:
    signed_in = await served.signed_in()
    right = await csrf_of(served, signed_in)
    body = "" if given is None else f"csrf={right if given == 'right' else given}"
    sent = {"Content-Type": "application/x-www-form-urlencoded"} | headers
    async with signed_in.post(f"{served.url}/sign-out", data=body, headers=sent, allow_redirects=False) as answer:
        assert answer.status == status
    async with signed_in.get(served.url) as answer:
        assert answer.status == (401 if status == 303 else 200)


async def test_one_session_cannot_use_the_form_token_of_another(served: Served) -> None:
    one, other = await served.signed_in(), await served.signed_in()
    csrf = await csrf_of(served, one)
    async with other.post(f"{served.url}/sign-out", data={"csrf": csrf}, allow_redirects=False) as answer:
        assert answer.status == 403


async def test_a_body_beyond_the_limit_is_refused(served: Served) -> None:
    signed_in = await served.signed_in()
    data = {"csrf": await csrf_of(served, signed_in), "comment": "x" * 100_000}
    async with signed_in.post(f"{served.url}/promotion/14/approve", data=data) as answer:
        assert answer.status == 413


async def test_an_error_of_ours_shows_nothing_of_its_insides(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    served.facts.shown = ZeroDivisionError("the value of the secret")
    signed_in = await served.signed_in()
    async with signed_in.get(served.url) as answer:
        text = await answer.text()
    assert answer.status == 200
    assert "an internal error" in text
    assert "the value of the secret" not in text
    assert "Traceback" not in text
    assert "the value of the secret" in caplog.text


async def test_a_taken_port_is_one_clear_refusal(served: Served) -> None:
    from penstock.model.errors import RefusedError

    port = int(served.url.rpartition(":")[2])
    with pytest.raises(RefusedError, match=f"port {port} on 127.0.0.1 is not free") as caught:
        async with web_served.serve(served.facts, (), port=port):
            pass
    assert caught.value.code == "PortInUse"
    assert caught.value.hint
