"""What penstock.yaml and .penstock/ declare, and how misfits are told."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from penstock import source
from penstock.model import duration
from penstock.model.pipeline import Repository
from penstock.model.tree import MemoryTree

HEAD = "apiVersion: penstock.dev/v1alpha1\nkind: Pipeline\n"


def discover(text: str, **more: bytes) -> Repository:
    files: dict[str, bytes | str] = {"penstock.yaml": text.encode()}
    for name in ("dev", "staging", "prod"):
        files[f"clusters/{name}/kustomization.yaml"] = b"resources: []\n"
    return source.discover(MemoryTree(files | {path.replace("__", "/") + ".yaml": data for path, data in more.items()}))


def findings(found: Repository) -> list[str]:
    return [f"{problem.where}: {problem.what}" for problem in found.problems if problem.severity == "error"]


def test_environments_come_sources_first_with_gates_and_differences() -> None:
    found = discover(
        HEAD
        + """\
metadata: {name: shop}
spec:
  autoMerge: false
  differences: [spec.replicas]
  environments:
  - name: prod
    promoteFrom: [staging]
    protected: true
    differences: ['#Ingress/web spec.rules[*].host']
    gates:
      soak: 1h30m
      approvals: {count: 2, from: ['team:web', alice]}
      windows:
      - {days: Mon-Fri, from: '09:00', to: '16:00', timeZone: Europe/Berlin}
      statuses: [{context: ci/test, creator: ci-bot}]
  - name: dev
  - name: staging
    promoteFrom: [dev]
    autoMerge: true
"""
    )
    assert findings(found) == []
    assert [env.name for env in found.environments] == ["dev", "staging", "prod"]
    prod = found.environments[2]
    assert prod.guard == "block" and not prod.auto_merge and found.environments[1].auto_merge
    assert prod.gates.soak == timedelta(minutes=90)
    assert (prod.gates.approvals, prod.gates.approvers) == (2, ("team:web", "alice"))
    assert prod.gates.windows[0].days == (0, 1, 2, 3, 4) and prod.gates.windows[0].start == time(9)
    assert prod.gates.statuses[0].creator == "ci-bot"
    assert [difference.pattern for difference in prod.differences] == ["spec.replicas", "#Ingress/web spec.rules[*].host"]
    assert str(prod.differences[1].place) == "penstock.yaml:11:19"


def test_every_misfit_is_told_at_once_with_its_place_and_a_guess() -> None:
    found = discover(
        HEAD
        + """\
spec:
  environment: []
  environments:
  - name: dev
    gate: {}
  - name: staging
    promoteFrom: [deev]
    gates: {soak: soon, healthy: 3}
"""
    )
    assert findings(found) == [
        "penstock.yaml:4:3: unknown field 'environment'",
        "penstock.yaml:7:5: unknown field 'gate'",
        "penstock.yaml:8:11: environment 'staging' is promoted from 'deev', which does not exist",
        "penstock.yaml:10:19: spec.environments[1].gates.soak is not a duration",
        "penstock.yaml:10:34: spec.environments[1].gates.healthy must be true or false, it is a number",
    ]
    hints = [problem.hint for problem in found.problems if problem.severity == "error"]
    assert hints[0] == "did you mean 'environments'?"
    assert hints[2] == "did you mean 'dev'?"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("", "warn"), ("false", "warn"), ("true", "block"), ("allow", "allow"), ("warn", "warn"), ("block", "block")],
)
def test_an_environment_says_what_the_guard_does_for_it(written: str, meant: str) -> None:
    found = discover(HEAD + f"spec: {{environments: [{{name: dev{', protected: ' + written if written else ''}}}]}}\n")
    assert (findings(found), found.environments[0].guard) == ([], meant)


def test_a_policy_of_the_guard_that_does_not_exist_is_told_at_its_place() -> None:
    found = discover(HEAD + "spec:\n  environments:\n  - name: dev\n    protected: denied\n")
    assert findings(found) == ["penstock.yaml:6:16: unknown protected"]


def test_a_circle_of_promotions_is_refused() -> None:
    found = discover(HEAD + "spec: {environments: [{name: dev, promoteFrom: [prod]}, {name: prod, promoteFrom: [dev]}]}\n")
    assert findings(found) == ["penstock.yaml:3:30: promoteFrom goes in a circle: dev <- prod <- dev"]


def test_a_key_written_twice_is_a_problem() -> None:
    found = discover(HEAD + "spec:\n  environments: [{name: dev}]\n  environments: [{name: prod}]\n")
    assert findings(found) == ["penstock.yaml:5:3: key 'environments' is written twice (first at line 4)"]


def test_an_alias_bomb_costs_nothing_and_a_circle_of_aliases_is_refused() -> None:
    levels = "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    found = discover(HEAD + "metadata:\n  a0: &a0 [x]\n" + levels + "spec: {environments: [{name: dev}]}\n")
    assert [env.name for env in found.environments] == ["dev"]
    circle = discover(HEAD + "spec: &s {environments: *s}\n")
    assert any("contains itself" in text for text in findings(circle))


def test_freezes_holds_and_settled_differences_are_files_too() -> None:
    head = "apiVersion: penstock.dev/v1alpha1\n"
    found = discover(
        HEAD + "spec: {environments: [{name: dev}, {name: prod, promoteFrom: [dev]}]}\n",
        **{
            ".penstock__freeze": (
                head + "kind: Freeze\nspec: {environments: [prod], reason: fair, by: ann, until: 2026-03-02T18:00:00+01:00}\n"
            ).encode(),
            ".penstock__hold": (head + "kind: Hold\nspec: {app: web, reason: looks odd}\n").encode(),
            ".penstock__settled": (head + "kind: Settled\nspec: {from: dev, to: prod, commit: abc}\n").encode(),
        },
    )
    assert findings(found) == []
    assert found.freezes[0].until == datetime(2026, 3, 2, 17, tzinfo=UTC)
    assert (found.holds[0].unit, found.holds[0].environments) == ("web", ())
    assert (found.settled[0].source, found.settled[0].target, found.settled[0].unit) == ("dev", "prod", "")


@pytest.mark.parametrize("text", ["", "30", "m", "1h 30m", "-1h", "1y"])
def test_text_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration.parse(text, days=True)


def test_durations_read_as_flux_writes_them() -> None:
    assert duration.parse("1h30m5s", days=True) == timedelta(hours=1, minutes=30, seconds=5)
    assert duration.parse("2d", days=True) == timedelta(days=2)


def test_a_path_that_leaves_the_repository_is_refused() -> None:
    found = discover(HEAD + "spec: {environments: [{name: dev, path: ../other}]}\n")
    assert any("inside the repository" in text for text in findings(found))
