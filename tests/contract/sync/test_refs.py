"""What a GitRepository's ref may be, and what a failing source leaves alone."""

from __future__ import annotations

import pytest

from penstock.model import condition as conditions
from penstock.model import flux


@pytest.mark.parametrize(
    ("ref", "shown"),
    [
        ({"branch": "main"}, "main@sha1:{head}"),
        ({"tag": "v1.2.0"}, "v1.2.0@sha1:{tagged}"),
        ({"semver": ">=1.0.0 <2.0.0"}, "v1.2.0@sha1:{tagged}"),
        ({"name": "refs/heads/main"}, "refs/heads/main@sha1:{head}"),
        ({"commit": "{tagged}"}, "sha1:{tagged}"),
        ({"branch": "main", "commit": "{tagged}"}, "main@sha1:{tagged}"),
    ],
)
async def test_every_kind_of_ref_gives_its_revision(world, namespaced, ref, shown):
    tagged = world.repo.commit({"a.yaml": namespaced("a")})
    world.repo.tag("v1.2.0")
    head = world.repo.commit({"a.yaml": namespaced("a", "2")})
    await world.source(ref={key: value.format(tagged=tagged, head=head) for key, value in ref.items()})
    await world.start()

    async def announced():
        return ((await world.status("fleet", flux.GIT_REPOSITORY)).get("artifact") or {}).get("revision")

    assert await world.until(announced, "an artifact") == shown.format(tagged=tagged, head=head)


@pytest.mark.parametrize(
    ("spec", "reason", "says", "stalled"),
    [
        ({"provider": "azure"}, "InvalidProviderConfiguration", "provider 'azure' is not supported", True),
        ({"provider": "aws", "serviceAccountName": "x"}, "FeatureGateDisabled", "ObjectLevelWorkloadIdentity", True),
        ({"provider": "github"}, "InvalidProviderConfiguration", "secretRef with github app data", True),
        ({"secretRef": {"name": "nope"}}, "AuthenticationFailed", "/nope': not found", False),
        ({"proxySecretRef": {"name": "nope"}}, "AuthenticationFailed", "/nope': not found", False),
        ({"sparseCheckout": ["apps", "nope"]}, "GitOperationFailed", "sparse checkout dir 'nope' does not exist", False),
        ({"sparseCheckout": ["../up"]}, "GitOperationFailed", "sparse checkout dir '../up' does not exist", False),
        ({"ref": {"branch": "nope"}}, "GitOperationFailed", "branch 'nope'", False),
        ({"include": [{"repository": {"name": "nope"}}]}, "NotFound", "could not get resource for include 'nope'", False),
    ],
)
async def test_what_cannot_be_fetched_says_why_in_fluxs_words(world, namespaced, spec, reason, says, stalled):
    world.repo.commit({"apps/a.yaml": namespaced("a")})
    await world.source(**spec)
    await world.start()

    async def refused():
        ready = await world.ready("fleet", flux.GIT_REPOSITORY)
        return ready is not None and ready.status == "False" and ready.reason == reason and says in ready.message

    await world.until(refused, "the refusal")
    status = conditions.parse((await world.status("fleet", flux.GIT_REPOSITORY))["conditions"])
    assert status.is_true(flux.STALLED) is stalled
    assert status.is_true(flux.RECONCILING) is not stalled


async def test_ignored_files_are_not_built(world, namespaced):
    await world.synced(
        {"a.yaml": namespaced("a"), "skip/b.yaml": namespaced("b"), ".sourceignore": "skip/\n"},
    )
    assert await world.get("ConfigMap", "b") is None


async def test_the_artifact_can_be_read_by_others_and_has_the_digest_it_says(world, namespaced):
    from penstock.controllers import artifacts

    await world.synced({"a.yaml": namespaced("a")})
    artifact = (await world.status("fleet", flux.GIT_REPOSITORY))["artifact"]
    tree = await artifacts.fetch(artifact)
    assert tree.read("a.yaml").decode() == namespaced("a")
    assert artifact["path"].startswith(f"gitrepository/{world.namespace}/fleet/")
