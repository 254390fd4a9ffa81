"""What a source is made of: signatures, includes, folders, submodules, rewritten histories; and what failing leaves alone."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from penstock.controllers import artifacts
from penstock.model import flux

NOT_SIGNING = shutil.which("ssh-keygen") is None


def revision_of(status):
    return (status.get("artifact") or {}).get("revision")


def key_pair(folder, name):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    return folder / name, (folder / f"{name}.pub").read_bytes()


def sign(world, key, files, *, tag=""):
    """A signed commit (and tag); the commit."""
    world.repo._git("config", "gpg.format", "ssh")
    world.repo._git("config", "user.signingKey", str(key))
    world.repo._git("config", "commit.gpgSign", "true")
    try:
        made = world.repo.commit(files)
        if tag:
            world.repo._git("tag", "-s", "-m", "release", tag)
    finally:
        world.repo._git("config", "commit.gpgSign", "false")
    return made


@pytest.mark.skipif(NOT_SIGNING, reason="NOT RUN: no ssh-keygen")
async def test_only_signed_commits_are_announced_and_the_last_verified_one_keeps_running(world, namespaced, tmp_path):
    key, public = key_pair(tmp_path, "trusted")
    _, strange = key_pair(tmp_path, "strange")
    await world.secret("keys", dev__sshpub=public)
    first = sign(world, key, {"a.yaml": namespaced("a")})
    await world.source(verify={"mode": "HEAD", "secretRef": {"name": "keys"}}, interval="1s")
    await world.kustomization()
    await world.start()
    await world.until_applied(f"main@sha1:{first}")
    status = await world.status("fleet", flux.GIT_REPOSITORY)
    assert status["sourceVerificationMode"] == "HEAD"
    verified = next(each for each in status["conditions"] if each["type"] == "SourceVerified")
    assert (verified["status"], verified["reason"]) == ("True", "Succeeded")
    assert f"commit '{first}' with key 'SHA256:" in verified["message"]

    unsigned = world.push({"a.yaml": namespaced("a", "2")})
    failed = await world.until_source(
        lambda _, found: found.is_false("SourceVerified") and found.is_false("Ready"), "the refusal of an unsigned commit"
    )
    ready = next(each for each in failed["conditions"] if each["type"] == "Ready")
    assert ready["reason"] == "InvalidCommitSignature"
    assert unsigned.rpartition(":")[2] in ready["message"]
    assert revision_of(failed) == f"main@sha1:{first}"
    assert (await world.get("ConfigMap", "a"))["data"]["k"] == "1"

    # it heals by a signed commit on top, without anybody touching the object
    second = sign(world, key, {"b.yaml": namespaced("b")})
    world.manager.poke(world.url)
    await world.until_applied(f"main@sha1:{second}")

    # keys that are exchanged count at once for what is there already
    await world.secret("keys", dev__sshpub=strange)
    failed = await world.until_source(lambda _, found: found.is_false("SourceVerified"), "the refusal of a key")
    assert revision_of(failed) == f"main@sha1:{second}"


@pytest.mark.skipif(NOT_SIGNING, reason="NOT RUN: no ssh-keygen")
@pytest.mark.parametrize(
    ("mode", "ref", "reason"),
    [
        ("Tag", {"tag": "signed"}, ""),
        ("TagAndHEAD", {"tag": "signed"}, ""),
        ("Tag", {"tag": "signed-of-unsigned"}, ""),
        ("TagAndHEAD", {"tag": "signed-of-unsigned"}, "InvalidCommitSignature"),
        ("Tag", {"tag": "annotated"}, "InvalidGitObject"),
        ("Tag", {"tag": "light"}, "InvalidGitObject"),
        ("HEAD", {"tag": "light"}, ""),
        ("Tag", {"branch": "main"}, "InvalidVerificationMode"),
        ("Tag", {"tag": "renamed"}, "InvalidTagSignature"),
        ("Tag", {"semver": "1.x"}, ""),
    ],
)
async def test_tags_are_verified_as_the_mode_says(world, namespaced, tmp_path, mode, ref, reason):
    key, public = key_pair(tmp_path, "trusted")
    await world.secret("keys", dev__sshpub=public)
    world.repo.commit({"a.yaml": namespaced("a", "0")})
    git = world.repo._git
    git("config", "gpg.format", "ssh")
    git("config", "user.signingKey", str(key))
    git("tag", "-s", "-m", "x", "signed-of-unsigned")
    sign(world, key, {"a.yaml": namespaced("a")}, tag="signed")
    git("tag", "-a", "-m", "x", "annotated")
    git("tag", "light")
    git("tag", "-s", "-m", "x", "v1.0.0")
    git("update-ref", "refs/tags/renamed", git("rev-parse", "signed").strip())
    await world.source(verify={"mode": mode, "secretRef": {"name": "keys"}}, ref=ref)
    await world.start()
    if reason:
        status = await world.until_source(lambda _, found: found.is_false("SourceVerified"), "the refusal")
        assert {each["type"]: each["reason"] for each in status["conditions"]}["Ready"] == reason
        assert revision_of(status) is None
    else:
        status = await world.until_source(lambda _, found: found.is_true("Ready"), "an artifact")
        assert status["sourceVerificationMode"] == mode


async def test_a_missing_key_secret_verifies_nothing(world, namespaced):
    world.repo.commit({"a.yaml": namespaced("a")})
    await world.source(verify={"secretRef": {"name": "nope"}})
    await world.start()
    status = await world.until_source(lambda _, found: found.is_false("SourceVerified"), "the refusal")
    assert {each["type"]: each["reason"] for each in status["conditions"]}["Ready"] == "VerificationError"
    assert revision_of(status) is None


async def test_other_repositories_are_included_and_their_changes_arrive(world, namespaced):
    other, url = world.another("shared")
    other.commit({"base/b.yaml": namespaced("b"), "else/c.yaml": namespaced("c")})
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    include = {"repository": {"name": "shared"}, "fromPath": "./base", "toPath": "vendor/shared"}
    await world.source(include=[include])
    await world.kustomization()
    await world.start()
    await world.until_source(lambda _, found: found.is_true("IncludeUnavailable"), "the wait for the included source")

    await world.source("shared", url=url)
    await world.until_applied(f"main@sha1:{commit}")
    assert await world.get("ConfigMap", "b") is not None
    assert await world.get("ConfigMap", "c") is None
    status = await world.status("fleet", flux.GIT_REPOSITORY)
    assert status["observedInclude"] == [include]
    before = status["includedArtifacts"][0]
    tree = await artifacts.fetch(status["artifact"])
    assert tree.names("vendor/shared") == ("b.yaml",)

    other.commit({"base/b.yaml": namespaced("b", "2")})
    world.manager.poke(url)

    async def arrived():
        return (await world.get("ConfigMap", "b"))["data"]["k"] == "2"

    await world.until(arrived, "the change of the included repository")
    status = await world.status("fleet", flux.GIT_REPOSITORY)
    assert status["includedArtifacts"][0] != before
    assert revision_of(status) == f"main@sha1:{commit}"


@pytest.mark.parametrize(
    ("include", "reason"),
    [
        ({"toPath": "../up"}, "IllegalPath"),
        ({"fromPath": "../../etc"}, "IllegalPath"),
        ({"fromPath": "a\\..\\b"}, "IllegalPath"),
        ({"toPath": ".git/hooks"}, "IllegalPath"),
        ({"toPath": "."}, "IllegalPath"),
        ({"fromPath": "nope"}, "CopyFailure"),
        ({"toPath": "app"}, "CopyFailure"),
        ({"toPath": "a.yaml/below"}, "CopyFailure"),
    ],
)
async def test_an_include_that_does_not_fit_is_refused(world, namespaced, include, reason):
    other, url = world.another("shared")
    other.commit({"b.yaml": namespaced("b")})
    world.repo.commit({"a.yaml": namespaced("a"), "app/c.yaml": namespaced("c")})
    await world.source("shared", url=url)
    await world.source(include=[{"repository": {"name": "shared"}, **include}])
    await world.start()
    status = await world.until_source(lambda _, found: found.is_true("StorageOperationFailed"), "the refusal")
    assert {each["type"]: each["reason"] for each in status["conditions"]}["Ready"] == reason
    assert revision_of(status) is None


async def test_only_the_folders_of_a_sparse_checkout_are_in_the_artifact(world, namespaced):
    world.repo.commit({"apps/a.yaml": namespaced("a"), "other/b.yaml": namespaced("b"), "c.yaml": namespaced("c")})
    await world.source(sparseCheckout=["./apps"])
    await world.start()
    status = await world.until_source(lambda _, found: found.is_true("Ready"), "an artifact")
    assert status["observedSparseCheckout"] == ["./apps"]
    assert (await artifacts.fetch(status["artifact"])).names("") == ("apps",)

    await world.patch("GitRepository", "fleet", {"spec": {"sparseCheckout": None}}, group=flux.SOURCE_GROUP)
    await world.until_source(lambda found, _: "observedSparseCheckout" not in found, "the whole tree")
    status = await world.status("fleet", flux.GIT_REPOSITORY)
    assert (await artifacts.fetch(status["artifact"])).names("") == ("apps", "c.yaml", "other")


async def test_submodules_come_only_when_asked_for_and_only_from_the_same_host(world, namespaced):
    other, url = world.another("module")
    inner = other.commit({"b.yaml": namespaced("b")})
    world.repo.commit({"a.yaml": namespaced("a"), ".gitmodules": '[submodule "m"]\n\tpath = vendor/m\n\turl = ' + url + "\n"})
    world.repo._git("update-index", "--add", "--cacheinfo", f"160000,{inner},vendor/m")
    world.repo._git("commit", "-q", "-m", "a submodule")
    await world.source()
    await world.start()
    status = await world.until_source(lambda _, found: found.is_true("Ready"), "an artifact")
    assert (await artifacts.fetch(status["artifact"])).names("") == ("a.yaml",)

    await world.patch("GitRepository", "fleet", {"spec": {"recurseSubmodules": True}}, group=flux.SOURCE_GROUP)
    status = await world.until_source(lambda found, _: found.get("observedRecurseSubmodules"), "the submodule")
    assert (await artifacts.fetch(status["artifact"])).read("vendor/m/b.yaml").decode() == namespaced("b")

    world.repo._git("reset", "-q", "--hard")
    module = '[submodule "m"]\n\tpath = vendor/m\n\turl = http://169.254.169.254/latest\n'
    (world.repo.folder / ".gitmodules").write_text(module)
    world.repo._git("commit", "-q", "-a", "-m", "elsewhere")
    world.manager.poke(world.url)
    refused = await world.until_source(lambda _, found: found.is_true("FetchFailed"), "the refusal")
    assert "is not on the host of the repository" in str(refused["conditions"])
    assert refused["artifact"] == status["artifact"]


async def test_a_rewritten_history_is_followed_told_and_its_old_tip_kept(world, namespaced):
    old = world.repo.commit({"a.yaml": namespaced("a")})
    lost = world.repo.commit({"a.yaml": namespaced("a", "lost")})
    await world.source()
    await world.kustomization()
    await world.start()
    await world.until_applied(f"main@sha1:{lost}")
    world.repo._git("reset", "-q", "--hard", old)
    new = world.push({"a.yaml": namespaced("a", "new")})
    await world.until_applied(new)
    status = await world.status("fleet", flux.GIT_REPOSITORY)
    told = next(each for each in status["conditions"] if each["type"] == "HistoryRewritten")
    assert (told["status"], told["reason"]) == ("True", "HistoryRewritten")
    assert lost in told["message"]

    async def event():
        return await world.events("HistoryRewritten")

    await world.until(event, "the event")
    mirror = world.repositories.get(world.url, {})
    assert mirror.resolve(f"refs/penstock/keep/{lost}") == lost

    await world.until_applied(world.push({"a.yaml": namespaced("a", "newer")}))
    await world.until_source(lambda _, found: found.get("HistoryRewritten") is None, "the end of the notice")


async def test_a_guarded_source_follows_a_rewritten_history_only_when_a_person_agrees(world, namespaced):
    old = world.repo.commit({"a.yaml": namespaced("a")})
    kept = await world.synced({"a.yaml": namespaced("a", "kept")})
    await world.patch(
        "GitRepository", "fleet", {"metadata": {"annotations": {flux.HISTORY_GUARD: "hold"}}}, group=flux.SOURCE_GROUP
    )
    world.repo._git("reset", "-q", "--hard", old)
    new = world.push({"a.yaml": namespaced("a", "new")})
    status = await world.until_source(lambda _, found: found.is_true("HistoryRewritten"), "the hold")
    reasons = {each["type"]: each["reason"] for each in status["conditions"]}
    assert (reasons["HistoryRewritten"], reasons["Ready"]) == ("Held", "HistoryRewritten")
    assert "Stalled" in reasons
    assert revision_of(status) == kept
    assert (await world.get("ConfigMap", "a"))["data"]["k"] == "kept"

    consent = {"metadata": {"annotations": {flux.HISTORY_CONSENT: new.rpartition(":")[2]}}}
    await world.patch("GitRepository", "fleet", consent, group=flux.SOURCE_GROUP)
    await world.until_applied(new)


async def test_a_step_back_is_believed_at_the_second_look(world, namespaced):
    """The first may be a replica that lags behind what the webhook told of."""
    old = world.repo.commit({"a.yaml": namespaced("a")})
    kept = await world.synced({"a.yaml": namespaced("a", "2")})
    await world.settled()
    world.repo._git("reset", "-q", "--hard", old)
    await world.manager._reconcile_git(world.manager._git_actors[(world.namespace, "fleet")])
    assert revision_of(await world.status("fleet", flux.GIT_REPOSITORY)) == kept
    world.manager.poke(world.url)
    await world.until_applied(f"main@sha1:{old}")


async def test_a_tag_that_moves_is_told(world, namespaced):
    first = world.repo.commit({"a.yaml": namespaced("a")})
    world.repo.tag("stable")
    await world.source(ref={"tag": "stable"})
    await world.start()
    await world.until_source(lambda status, _: revision_of(status) == f"stable@sha1:{first}", "the tag")
    second = world.repo.commit({"a.yaml": namespaced("a", "2")})
    world.repo._git("tag", "-f", "stable")
    world.manager.poke(world.url)
    status = await world.until_source(lambda status, _: revision_of(status) == f"stable@sha1:{second}", "the moved tag")
    assert {each["type"]: each["reason"] for each in status["conditions"]}["HistoryRewritten"] == "TagMoved"


async def test_a_repository_that_goes_away_keeps_everything_running_and_heals(world, namespaced):
    revision = await world.synced({"a.yaml": namespaced("a")})
    world.repo.folder.rename(world.folder / "away")
    world.manager.poke(world.url)
    status = await world.until_source(lambda _, found: found.is_true("FetchFailed") and found.is_false("Ready"), "the failure")
    assert revision_of(status) == revision
    assert await world.get("ConfigMap", "a") is not None

    async def told():
        return await world.events("SourceNotFound")

    await world.until(told, "the event")
    (world.folder / "away").rename(world.repo.folder)
    await world.until_applied(world.push({"a.yaml": namespaced("a", "2")}))
    await world.until_source(lambda _, found: found.is_true("Ready") and found.get("FetchFailed") is None, "the recovery")


async def test_an_archive_that_was_tampered_with_is_made_again(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.settled()
    artifact = (await world.status("fleet", flux.GIT_REPOSITORY))["artifact"]
    archive = world.folder / "artifacts" / artifact["path"]
    whole = archive.read_bytes()
    archive.write_bytes(b"x" * len(whole))
    world.manager.poke(world.url)

    async def mended():
        return archive.read_bytes() == whole and await world.events("ArtifactVerificationFailed")

    await world.until(mended, "the archive made again")


async def test_a_suspended_source_is_left_alone(world, namespaced):
    revision = await world.synced({"a.yaml": namespaced("a")})
    await world.patch("GitRepository", "fleet", {"spec": {"suspend": True}}, group=flux.SOURCE_GROUP)
    await world.settled()
    world.push({"a.yaml": namespaced("a", "2")})
    await world.settled()
    assert revision_of(await world.status("fleet", flux.GIT_REPOSITORY)) == revision


async def test_a_version_tag_that_goes_away_is_told_before_its_predecessor_comes_back(world, namespaced):
    first = world.repo.commit({"a.yaml": namespaced("a")})
    world.repo.tag("v1.0.0")
    second = world.repo.commit({"a.yaml": namespaced("a", "2")})
    world.repo.tag("v1.1.0")
    await world.source(ref={"semver": "1.x"})
    await world.start()
    await world.until_source(lambda status, _: revision_of(status) == f"v1.1.0@sha1:{second}", "the newest version")
    await world.patch(
        "GitRepository", "fleet", {"metadata": {"annotations": {flux.HISTORY_GUARD: "hold"}}}, group=flux.SOURCE_GROUP
    )
    world.repo._git("tag", "-d", "v1.1.0")
    world.manager.poke(world.url)
    status = await world.until_source(lambda _, found: found.is_true("HistoryRewritten"), "the hold")
    assert revision_of(status) == f"v1.1.0@sha1:{second}"
    assert "tag v1.1.0 is gone, v1.0.0 is the highest version now" in str(status["conditions"])
    consent = {"metadata": {"annotations": {flux.HISTORY_CONSENT: first}}}
    await world.patch("GitRepository", "fleet", consent, group=flux.SOURCE_GROUP)
    status = await world.until_source(lambda status, _: revision_of(status) == f"v1.0.0@sha1:{first}", "the version agreed to")
    assert {each["type"]: each["reason"] for each in status["conditions"]}["HistoryRewritten"] == "TagRemoved"


async def test_a_commit_message_cannot_write_to_a_terminal(world, namespaced):
    world.repo.commit({"a.yaml": namespaced("a")}, "evil \x1b]0;owned\x07\x1b[31mred\u202e")
    await world.source()
    await world.start()

    async def told():
        return await world.events("NewArtifact")

    found = await world.until(told, "the event")
    assert found[0]["message"] == "stored artifact for commit 'evil red'"


async def test_a_pinned_commit_on_a_branch_that_does_not_have_it_is_refused(world, namespaced):
    old = world.repo.commit({"a.yaml": namespaced("a")})
    lost = world.repo.commit({"a.yaml": namespaced("a", "lost")})
    world.repo._git("branch", "other")
    world.repo._git("reset", "-q", "--hard", old)
    await world.source(ref={"branch": "main", "commit": lost})
    await world.start()
    status = await world.until_source(lambda _, found: found.is_true("FetchFailed"), "the refusal")
    assert f"commit '{lost}' on branch 'main'" in str(status["conditions"])
    await world.patch("GitRepository", "fleet", {"spec": {"ref": {"branch": "other"}}}, group=flux.SOURCE_GROUP)
    await world.until_source(lambda status, _: revision_of(status) == f"other@sha1:{lost}", "the branch that has it")


async def test_an_empty_repository_says_so_and_heals_with_the_first_commit(world, namespaced):
    empty, url = world.another("empty")
    await world.source(url=url)
    await world.start()
    status = await world.until_source(lambda _, found: found.is_true("FetchFailed"), "the refusal")
    assert {each["type"]: each["reason"] for each in status["conditions"]}["Ready"] == "EmptyGitRepository"
    commit = empty.commit({"a.yaml": namespaced("a")})
    await world.until_source(lambda status, _: revision_of(status) == f"main@sha1:{commit}", "the first commit")
