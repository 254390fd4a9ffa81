"""Signatures of webhooks: made as the forges document it, checked over the very bytes."""

from __future__ import annotations

import hmac
import json

import pytest

from penstock.adapters.forge import webhooks

BODY = json.dumps({"ref": "refs/heads/main", "after": "a" * 40, "repository": {"full_name": "platform/fleet"}}).encode()
SECRET = "It's a Secret to Everybody"


def digest(body: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(SECRET.encode(), body, algorithm).hexdigest()


SIGNED: dict[str, dict[str, str]] = {
    "github": {"X-Hub-Signature-256": f"sha256={digest(BODY)}"},
    "gitea": {"X-Gitea-Signature": digest(BODY)},
    "gitlab": {"X-Gitlab-Token": SECRET},
    "generic": {"X-Signature": f"sha512={digest(BODY, 'sha512')}"},
}


@pytest.mark.parametrize("flavour", SIGNED)
def test_a_genuine_request_is_taken_whatever_the_case_of_its_headers(flavour: webhooks.Flavour) -> None:
    assert webhooks.genuine(flavour, SIGNED[flavour], BODY, SECRET)
    assert webhooks.genuine(flavour, {name.lower(): value for name, value in SIGNED[flavour].items()}, BODY, SECRET)


@pytest.mark.parametrize("flavour", SIGNED)
def test_anything_else_is_not(flavour: webhooks.Flavour) -> None:
    name, value = next(iter(SIGNED[flavour].items()))
    assert not webhooks.genuine(flavour, SIGNED[flavour], BODY, SECRET + "x")
    assert not webhooks.genuine(flavour, SIGNED[flavour], BODY, ""), "no secret, no webhook"
    assert not webhooks.genuine(flavour, {}, BODY, SECRET)
    for wrong in (
        "",
        value[:-1],
        value.upper() + "0",
        "sha256=",
        "md5=" + "0" * 32,
        "ü",
        "\udcff",
        f"sha1={digest(BODY, 'sha1')}",
    ):
        assert not webhooks.genuine(flavour, {name: wrong}, BODY, SECRET), wrong
    if flavour != "gitlab":
        assert not webhooks.genuine(flavour, SIGNED[flavour], BODY + b"\n", SECRET)
    for other in SIGNED:
        if other != flavour:
            assert not webhooks.genuine(flavour, SIGNED[other], BODY, SECRET)


def test_githubs_own_example_is_genuine() -> None:
    # From GitHub's page on validating webhook deliveries.
    headers = {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
    assert webhooks.genuine("github", headers, b"Hello, World!", "It's a Secret to Everybody")


def test_an_empty_token_of_gitlab_opens_nothing() -> None:
    assert not webhooks.genuine("gitlab", {"X-Gitlab-Token": ""}, BODY, "")


@pytest.mark.parametrize(
    ("headers", "body", "event"),
    [
        ({"X-Gitea-Event": "push"}, BODY, ("push", "platform/fleet", "refs/heads/main", 0)),
        (
            {"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": "d"},
            b'{"number": 7, "repository": {"full_name": "o/r"}}',
            ("pull_request", "o/r", "", 7),
        ),
        (
            {"X-GitHub-Event": "pull_request_review"},
            b'{"pull_request": {"number": 8}, "repository": {"full_name": "o/r"}}',
            ("review", "o/r", "", 8),
        ),
        (
            {"X-Gitlab-Event": "Merge Request Hook"},
            b'{"project": {"path_with_namespace": "g/s/r"}, "object_attributes": {"iid": 9}}',
            ("pull_request", "g/s/r", "", 9),
        ),
        (
            {"X-Gitlab-Event": "Push Hook"},
            b'{"ref": "refs/heads/x", "project": {"path_with_namespace": "g/r"}}',
            ("push", "g/r", "refs/heads/x", 0),
        ),
        ({"X-Gitea-Event": "something new"}, b"{}", ("other", "", "", 0)),
        ({}, b"not json", ("other", "", "", 0)),
        ({"X-GitHub-Event": "push"}, b"[1]", ("other", "", "", 0)),
        ({"X-GitHub-Event": "push"}, b'{"ref": 7, "number": true, "repository": "x"}', ("push", "", "", 0)),
    ],
)  # fmt: skip
def test_what_a_webhook_says(headers: dict[str, str], body: bytes, event: tuple[str, str, str, int]) -> None:
    found = webhooks.read(headers, body)
    assert (found.kind, found.repository, found.ref, found.number) == event
