"""The story of Penstock, told on a running sandbox: one change travels from dev to prod, and a drift is undone.

In: a sandbox and an open world. Out: a stream of events (steps and pictures) and the closing table. Everything said is
read back from the clusters, the forge and Git; a step that does not happen within its time fails the demo.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from penstock.app import sandbox, world
from penstock.model import errors
from penstock.model.resource import Manifest
from penstock.model.values import CommitId, EnvName
from penstock.ports.forge import Forge, PullRequest

NAMESPACE = "shop"
IMAGE = "registry.example/shop/web:1.5.0"
TIMEOUT = "20s"
SUBJECT = "raise checkout timeout"
_PATIENCE_SECONDS = 60.0

Kind = Literal["do", "done", "wait", "person"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the story."""

    seconds: float
    """Since the story began."""
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One environment as it is now."""

    environment: str
    revision: str = ""
    """Short commit id of what is applied."""
    subject: str = ""
    state: str = "waiting"
    waits: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the closing table."""

    environment: str
    commit: str
    live: str
    image: str
    checkout_timeout: str
    replicas: str
    new_checkout: str
    host: str


Tell = Callable[[Step], None]
Show = Callable[[tuple[Column, ...]], None]


@dataclass(slots=True, kw_only=True)
class Story:
    """The telling of it: where the events go, and what is known of each environment."""

    box: sandbox.Sandbox
    opened: world.World
    reviewer: Forge
    tell: Tell
    show: Show
    began: float
    """Monotonic seconds."""
    columns: dict[str, Column] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.columns = {str(name): Column(environment=str(name)) for name in self.opened.clusters}

    def say(self, kind: Kind, text: str) -> None:
        self.tell(Step(seconds=self.opened.clock.monotonic() - self.began, kind=kind, text=text))

    def picture(self, environment: str, **changes: Any) -> None:
        import dataclasses

        self.columns[environment] = dataclasses.replace(self.columns[environment], **changes)
        self.show(tuple(self.columns.values()))


async def tell(story: Story) -> tuple[Row, ...]:
    """Tell the whole story; the closing table. Raises RemoteError when a step does not come about in its time."""
    first, *others = [EnvName(name) for name in story.columns]
    start = await _head(story)
    for environment in (first, *others):
        await _synced(story, environment, start)
    change = await _commit_to(story, first)
    await _synced(story, first, change)
    await _expect(story, first, image=IMAGE, setting=TIMEOUT)
    source = first
    for target in others:
        pull = await _proposed(story, source, target)
        merged = await _reviewed(story, target, pull)
        await _synced(story, target, merged)
        await _expect(story, target, image=IMAGE, setting=TIMEOUT)
        source = target
    await _drift(story, others[-1] if others else first)
    return tuple([await _row(story, environment) for environment in (first, *others)])


async def _head(story: Story) -> CommitId:
    await story.opened.repo.fetch()
    commit = story.opened.repo.resolve(story.opened.branch)
    if commit is None:
        raise errors.RemoteError(f"the repository has no branch {story.opened.branch}", code="NoBranch")
    return commit


async def _until[T](story: Story, what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """Look until there is something, with the demo's patience."""
    clock = story.opened.clock
    deadline = clock.monotonic() + _PATIENCE_SECONDS
    while True:
        if (found := await look()) is not None:
            return found
        if clock.monotonic() > deadline:
            raise errors.RemoteError(
                f"waited {_PATIENCE_SECONDS:.0f} s, and still not: {what}",
                hint="penstock status and penstock explain web tell more while penstock up runs",
                code="DemoTimeout",
            )
        await clock.sleep(0.1)


async def _kustomization(story: Story, environment: EnvName) -> Manifest | None:
    cluster = story.opened.clusters[environment]
    resource = await cluster.resource("kustomize.toolkit.fluxcd.io", "Kustomization", "v1")
    return await cluster.get(resource, "flux-system", environment) if resource else None


async def _synced(story: Story, environment: EnvName, commit: CommitId) -> None:
    """Wait until the environment is Ready at this commit or a later one."""
    story.picture(environment, state="syncing", waits="")

    async def look() -> Manifest | None:
        found = await _kustomization(story, environment)
        status = (found or {}).get("status") or {}
        applied = str(status.get("lastAppliedRevision", "")).rpartition(":")[2]
        story.picture(environment, waits=_progress(status))
        if not found or not applied or _ready(status) != "True":
            return None
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return None
        if applied != commit:
            await story.opened.repo.fetch()
            if not story.opened.repo.is_ancestor(commit, CommitId(applied)):
                return None
        return found

    found = await _until(story, f"{environment} Ready at {commit[:7]}", look)
    revision = CommitId(str(found["status"]["lastAppliedRevision"]).rpartition(":")[2])
    subject = story.opened.repo.commit(revision).subject
    story.live[environment] = story.opened.clock.now().strftime("%H:%M:%S")
    image = await _image(story, environment)
    story.picture(environment, state="healthy", revision=revision[:7], subject=subject, waits="", image=image)
    count = len(found["status"].get("inventory", {}).get("entries", []))
    story.say("done", f"{environment} is live and healthy at {revision[:7]} ({count} objects)")


def _ready(status: Mapping[str, Any]) -> str:
    return next((str(c.get("status")) for c in status.get("conditions", []) if c.get("type") == "Ready"), "Unknown")


def _progress(status: Mapping[str, Any]) -> str:
    return next((str(c.get("message", "")) for c in status.get("conditions", []) if c.get("type") == "Reconciling"), "")


async def _commit_to(story: Story, environment: EnvName) -> CommitId:
    """A developer's commit: a new image and a new setting, by the ordinary git client."""
    login = story.box.login(sandbox.DEVELOPER)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        clone = Path(folder) / "fleet"
        await sandbox.git_command("clone", "--quiet", story.box.repository_url, str(clone), login=login)
        app = clone / "clusters" / environment / "apps" / "web"
        _edit(app / "deployment.yaml", r"image: \S+", f"image: {IMAGE}")
        _edit(app / "config.yaml", r"checkout_timeout: \S+", f"checkout_timeout: {TIMEOUT}")
        author = ["-c", "user.name=Dana Developer", "-c", "user.email=dana@shop.example"]
        await sandbox.git_command("-C", str(clone), *author, "commit", "--quiet", "--all", "--message", SUBJECT)
        commit = CommitId((await sandbox.git_command("-C", str(clone), "rev-parse", "HEAD")).strip())
        await sandbox.git_command("-C", str(clone), "push", "--quiet", "origin", "HEAD", login=login)
    story.say("person", f'developer pushed {commit[:7]} "{SUBJECT}" to clusters/{environment}: image 1.5.0, checkout_timeout 20s')
    await story.opened.repo.fetch()
    return commit


def _edit(path: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, path.read_text(), count=1)
    if count != 1:
        raise errors.invalid(f"nothing there matches {pattern}", str(path), code="DemoEdit")
    path.write_text(text)


async def _proposed(story: Story, source: EnvName, target: EnvName) -> PullRequest:
    story.picture(target, state="waiting", waits=f"for a pull request from {source}")

    async def look() -> PullRequest | None:
        pulls = await story.opened.forge.pulls()
        return next((pull for pull in pulls if f"/{target}/" in pull.head and not pull.draft), None)

    pull = await _until(story, f"a pull request to {target}", look)
    story.say("done", f"pull request #{pull.number} is open: {pull.title}")
    story.say("done", f"it says: {pull.body.partition(chr(10))[0].strip('*')}")
    story.picture(target, state="moving", waits=f"#{pull.number} waits for 1 approval")
    return pull


async def _reviewed(story: Story, target: EnvName, pull: PullRequest) -> CommitId:
    """The reviewer reads the pull request and approves; Penstock merges it at exactly the commit that was approved."""
    await story.reviewer.review(pull.number, state="approved", commit=pull.head_sha, body="Same configuration, go.")
    story.say("person", f"reviewer approved #{pull.number} at {pull.head_sha[:7]}")
    story.picture(target, waits=f"#{pull.number} approved, merging")

    async def look() -> CommitId | None:
        now = await story.opened.forge.pull(pull.number)
        return now.merge_sha if now.state == "merged" else None

    merged = await _until(story, f"pull request #{pull.number} merged", look)
    story.say("done", f"#{pull.number} is merged as {merged[:7]}")
    await story.opened.repo.fetch()
    return merged


async def _object(story: Story, environment: EnvName, group: str, kind: str) -> Manifest:
    cluster = story.opened.clusters[environment]
    resource = await cluster.resource(group, kind)
    found = await cluster.get(resource, NAMESPACE, "web") if resource else None
    if found is None:
        raise errors.RemoteError(f"{environment} has no {kind} {NAMESPACE}/web", code="DemoObject")
    return found


async def _image(story: Story, environment: EnvName) -> str:
    deployment = await _object(story, environment, "apps", "Deployment")
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


async def _expect(story: Story, environment: EnvName, *, image: str, setting: str) -> None:
    """What the cluster holds is what was promised."""
    config = (await _object(story, environment, "", "ConfigMap"))["data"]
    now = await _image(story, environment)
    if (now, config["checkout_timeout"]) != (image, setting):
        raise errors.RemoteError(f"{environment} runs {now} with another setting than was promoted", code="DemoMismatch")


async def _drift(story: Story, environment: EnvName) -> None:
    """Somebody scales by hand; it is undone."""
    cluster = story.opened.clusters[environment]
    resource = await cluster.resource("apps", "Deployment")
    assert resource is not None
    wanted = (await _object(story, environment, "apps", "Deployment"))["spec"]["replicas"]
    await cluster.patch(
        resource, NAMESPACE, "web", {"spec": {"replicas": wanted + 6}}, kind="merge", field_manager="kubectl-edit"
    )
    began = story.opened.clock.monotonic()
    story.say("person", f"somebody scaled web in {environment} to {wanted + 6} by hand")
    story.picture(environment, state="drifted", waits=f"replicas {wanted + 6} instead of {wanted}")

    async def look() -> bool | None:
        return (await _object(story, environment, "apps", "Deployment"))["spec"]["replicas"] == wanted or None

    await _until(story, f"the drift in {environment} undone", look)
    took = story.opened.clock.monotonic() - began
    story.say("done", f"undone after {took:.1f} s: web in {environment} has its {wanted} replicas again")
    story.picture(environment, state="healthy", waits="")


async def _row(story: Story, environment: EnvName) -> Row:
    deployment = await _object(story, environment, "apps", "Deployment")
    config = (await _object(story, environment, "", "ConfigMap"))["data"]
    ingress = await _object(story, environment, "networking.k8s.io", "Ingress")
    found = await _kustomization(story, environment)
    assert found is not None
    return Row(
        environment=environment,
        commit=str(found["status"]["lastAppliedRevision"]).rpartition(":")[2][:7],
        live=story.live[environment],
        image=str(deployment["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition("/")[2],
        checkout_timeout=config["checkout_timeout"],
        replicas=str(deployment["spec"]["replicas"]),
        new_checkout=config["new_checkout"],
        host=ingress["spec"]["rules"][0]["host"],
    )
