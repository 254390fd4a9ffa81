"""`penstock check` names everything that is wrong, at its place, at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from penstock.adapters.files import DirectoryTree
from penstock.app import check, init
from penstock.model import errors


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    init.repository(tmp_path / "fleet")
    return tmp_path / "fleet"


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _found(fleet: Path) -> list[str]:
    return [str(problem).partition("\n")[0] for problem in check.repository(DirectoryTree(fleet)).problems]


def test_a_fresh_repository_has_no_problem(fleet: Path) -> None:
    assert _found(fleet) == []


def test_every_kind_of_mistake_is_found_in_one_run_with_file_line_and_column(fleet: Path) -> None:
    clusters = fleet / "clusters"
    _edit(clusters / "dev/apps/api/deployment.yaml", "  replicas: 1", "  replicas: 1\n  replicas: 2")
    _edit(clusters / "prod/apps/web/kustomization.yaml", "deployment.yaml", "deploymnt.yaml")
    _edit(clusters / "staging/apps/web/kustomization.yaml", "resources:", "patchs: []\nresources:")
    _edit(clusters / "prod/flux-system/gotk-sync.yaml", "prune: true", "prun: true")
    _edit(clusters / "prod/flux-system/gotk-sync.yaml", "interval: 5m0s", "interval: often")
    _edit(clusters / "dev/flux-system/gotk-sync.yaml", "kind: GitRepository\n    name", "kind: Gitrepository\n    name")
    _edit(fleet / "penstock.yaml", "promoteFrom: [dev]", "promoteFrom: [dve]")
    _edit(fleet / "penstock.yaml", "  differences:", "  diferences:")
    assert _found(fleet) == [
        'clusters/dev/apps/api/deployment.yaml:7:3: mapping key "replicas" already defined at line 6',
        "clusters/dev/flux-system/gotk-sync.yaml:26:5: 'spec.sourceRef.kind' has a value that is not allowed",
        "clusters/prod/apps/web/kustomization.yaml:4:3: 'deploymnt.yaml' doesn't exist: no such file or directory",
        "clusters/prod/flux-system/gotk-sync.yaml:18:1: 'spec' needs the field 'prune'",
        "clusters/prod/flux-system/gotk-sync.yaml:19:3: 'spec.interval' is not a duration",
        "clusters/prod/flux-system/gotk-sync.yaml:23:3: unknown field 'spec.prun'",
        "clusters/staging/apps/web/kustomization.yaml:3:1: unknown field 'patchs'",
        "penstock.yaml:9:11: environment 'staging' is promoted from 'dve', which does not exist",
        "penstock.yaml:14:3: unknown field 'diferences'",
    ]


def test_a_name_no_api_server_takes_and_a_reference_to_nothing_are_found(fleet: Path) -> None:
    _edit(fleet / "clusters/dev/apps/web/service.yaml", "  name: web", "  name: Web_X")
    report = check.repository(DirectoryTree(fleet))
    assert [(problem.severity, problem.code) for problem in report.problems] == [
        ("warning", "DanglingReference"),
        ("error", "BadName"),
    ]
    assert (report.errors, report.warnings) == (1, 1)


def test_a_finding_in_a_shared_base_is_told_once(fleet: Path) -> None:
    (fleet / "base").mkdir()
    (fleet / "base/kustomization.yaml").write_text("resources: [gone.yaml]\n")
    for name in ("dev", "prod"):
        _edit(fleet / f"clusters/{name}/apps/kustomization.yaml", "- web", "- web\n- ../../../base")
    assert [line for line in _found(fleet) if "gone.yaml" in line] == [
        "base/kustomization.yaml:1:13: 'gone.yaml' doesn't exist: no such file or directory"
    ]


def test_a_folder_without_environments_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match="no environment found"):
        check.repository(DirectoryTree(tmp_path))


@pytest.mark.parametrize(
    ("edit", "arguments", "code"),
    [
        (None, [], 0),
        (("clusters/dev/apps/web/service.yaml", "app: web", "app: wbe"), [], 0),
        (("clusters/dev/apps/web/service.yaml", "app: web", "app: wbe"), ["--strict"], 1),
        (("clusters/dev/kustomization.yaml", "- apps", "- aps"), [], 1),
    ],
    ids=["clean", "a warning", "a warning, strict", "an error"],
)
def test_the_exit_code_tells(fleet: Path, edit: tuple[str, str, str] | None, arguments: list[str], code: int) -> None:
    if edit:
        _edit(fleet / edit[0], edit[1], edit[2])
    done = subprocess.run([sys.executable, "-m", "penstock", "check", fleet, *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr


def test_nothing_to_check_is_exit_code_2(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        done = subprocess.run([sys.executable, "-m", "penstock", "check", folder], capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr
