"""Beside Flux on clusters that nobody here can ask: evidence is what its notification-controller reports on commits."""

from __future__ import annotations

from dataclasses import replace

from promotion_fleet import Fleet

from penstock.model.values import CommitId
from penstock.ports.forge import CommitStatus

PIPELINE = """\
apiVersion: penstock.dev/v1alpha1
kind: Pipeline
spec:
  environments:
  - name: dev
    evidence: {creator: reviewer}
  - name: staging
    promoteFrom: [dev]
"""
CONTEXT = "kustomization/dev/0c9c2e41"


async def unreachable(fleet: Fleet) -> Fleet:
    """The same fleet, whose dev cluster cannot be asked."""
    await fleet.commit("pipeline", {"penstock.yaml": PIPELINE})
    return replace(fleet, clusters={name: one for name, one in fleet.clusters.items() if name != "dev"})


async def report(fleet: Fleet, commit: str, state: str, *, user: str = "reviewer", context: str = CONTEXT) -> None:
    await fleet.mirror.fetch()
    status = CommitStatus(context=context, state=state, description="reconciliation succeeded")  # type: ignore[arg-type]
    await fleet.forges[user].set_status(CommitId(commit), status)


async def test_what_flux_reports_as_the_named_account_is_evidence(any_fleet: Fleet) -> None:
    fleet = await unreachable(any_fleet)
    commit = await fleet.raise_timeout()
    assert await fleet.settle() == [], "nothing was reported"
    await report(fleet, commit, "success", user="developer")
    assert await fleet.settle() == [], "anybody may write to that context, only one account counts"
    await report(fleet, commit, "success", context="kustomization/staging/0c9c2e41")
    assert await fleet.settle() == [], "another Kustomization's report"
    await report(fleet, commit, "success")
    assert await fleet.settle() == ["open web -> staging"]
    pull = await fleet.the_pull()
    assert f"healthy in dev, reported as {commit[:7]}" in pull.body
    await fleet.approve(pull)
    assert (await fleet.settle())[0] == "merge web -> staging"


async def test_a_failure_and_an_older_report_are_none(fleet: Fleet) -> None:
    fleet = await unreachable(fleet)
    before = await fleet.git("rev-parse", "HEAD")
    await report(fleet, before, "success")
    commit = await fleet.raise_timeout()
    assert await fleet.settle() == [], "that is about what was there before"
    await report(fleet, commit, "failure")
    assert await fleet.settle() == []
    case = (await fleet.controller().surveyor.survey()).case("staging", "web")
    assert case is not None and case.decision.reason == f"not healthy in dev: failed at {commit[:7]}"
    # Flux goes on reporting on the commit it applies, also one that leaves this app alone.
    later = await fleet.commit("something else", {"docs/note.md": "x\n"})
    await report(fleet, later, "success")
    assert await fleet.settle() == ["open web -> staging"]


async def test_of_two_clusters_with_one_name_the_worse_counts(fleet: Fleet) -> None:
    fleet = await unreachable(fleet)
    commit = await fleet.raise_timeout()
    await report(fleet, commit, "success")
    await report(fleet, commit, "failure", context="kustomization/dev/77777777")
    assert await fleet.settle() == []


async def test_what_ran_before_the_newest_failure_still_goes(fleet: Fleet) -> None:
    fleet = await unreachable(fleet)
    await report(fleet, await fleet.raise_timeout(), "success")
    await report(fleet, await fleet.raise_timeout(to="30s", was="20s"), "failure")
    assert await fleet.settle() == ["open web -> staging"]
    assert "raise checkout timeout to 20s" in (await fleet.the_pull()).title
