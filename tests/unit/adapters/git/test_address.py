"""Addresses of repositories: what is taken, what is refused, and where credentials go."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.adapters.git.address import parse_address
from penstock.adapters.git.text import plain
from penstock.model.errors import RefusedError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://git.example.com/platform/fleet.git", "https://git.example.com/platform/fleet.git"),
        ("https://git.example.com:8443/a/b?x=1#f", "https://git.example.com:8443/a/b"),
        ("http://[::1]:3000/a/b", "http://[::1]:3000/a/b"),
        ("ssh://git@git.example.com:2222/a/b.git", "ssh://git@git.example.com:2222/a/b.git"),
        ("git@git.example.com:a/b.git", "ssh://git@git.example.com/a/b.git"),
    ],
)
def test_addresses_people_write_are_taken(text: str, url: str) -> None:
    assert parse_address(text).url == url


@pytest.mark.parametrize(
    "text",
    [
        "", "-oProxyCommand=touch /tmp/x", "ext::sh -c 'touch /tmp/x'", "file:///etc", "/etc/passwd", "../x", "fd::17/foo",
        "git://host/x", "ftp://host/x", "https://-oProxyCommand=x/y", "ssh://-oProxyCommand=x/y", "ssh://git@host/-x", "https:///x",
        "https://host/a\nb", "https://host/a\rb", "https://host/a b", "https://host:99999/x", "https::https://host/x",
        "javascript:1", "ssh://-x@host/y",
    ],
)  # fmt: skip
def test_addresses_that_could_do_harm_are_refused(text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_address(text)
    assert refused.value.code == "InvalidURL"


def test_a_path_is_taken_only_where_it_is_allowed(tmp_path: Path) -> None:
    assert parse_address(str(tmp_path), allow_local=True).url == tmp_path.resolve().as_uri()
    with pytest.raises(RefusedError):
        parse_address(tmp_path.as_uri())


def test_credentials_leave_the_url_and_show_nowhere() -> None:
    found = parse_address("https://developer:p%40ss@git.example.com/a/b")
    assert found.url == "https://git.example.com/a/b"
    assert found.origin == "https://git.example.com"
    assert found.credentials is not None
    assert (found.credentials.username, found.credentials.password) == ("developer", "p@ss")
    assert "p@ss" not in repr(found)
    token_only = parse_address("https://t0ken@git.example.com/a/b").credentials
    assert token_only is not None
    assert token_only.password == "t0ken"


def test_a_bad_url_with_a_password_is_not_repeated() -> None:
    with pytest.raises(RefusedError) as refused:
        parse_address("ftp://user:s3cret@host/x")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("a\x08\x08b\x00c", "abc"),
        ("one\r\ntwo\tthree", "one two three"),
        ("right\u202eleft", "rightleft"),
        ("at https://user:token@host/x and http://tok@h", "at https://host/x and http://h"),
        ("the s3cret is s3cret-2", "the *** is ***"),
        ("ünï 🚀", "ünï 🚀"),
    ],
)
def test_text_of_a_remote_is_made_plain(text: str, shown: str) -> None:
    assert plain(text, secrets=["s3cret", "s3cret-2", ""]) == shown


def test_long_text_is_cut() -> None:
    assert plain("x" * 1000, limit=10) == "x" * 9 + "…"
