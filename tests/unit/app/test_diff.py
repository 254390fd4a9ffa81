"""`penstock diff` compares what is rendered, and never shows a Secret's value."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.adapters.files import DirectoryTree
from penstock.app import build, diff, init


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    init.repository(tmp_path / "fleet")
    return tmp_path / "fleet"


def _sides(fleet: Path, left: str, right: str) -> tuple[diff.Side, diff.Side]:
    tree = DirectoryTree(fleet)
    one, other = (diff.Side(label=name, tree=tree, environment=build.named(tree, name)) for name in (left, right))
    return one, other


def test_two_environments_differ_in_the_fields_that_were_meant(fleet: Path) -> None:
    found = diff.compare(*_sides(fleet, "dev", "prod"))
    rows = {(row.object, row.field): (row.left, row.right, bool(row.declared)) for row in found.rows}
    assert rows["Deployment/web", "spec.replicas"] == ("1", "3", True)
    assert rows["ConfigMap/web", "data.new_checkout"] == ("true", "false", False)
    assert rows["Ingress/web", "spec.rules[0].host"] == ("dev.shop.example", "shop.example", True)
    assert not any(name.startswith(("GitRepository", "Kustomization")) for name, _ in rows)
    places = {row.object: (str(row.left_at), str(row.right_at)) for row in found.rows}
    assert places["ConfigMap/web"] == ("clusters/dev/apps/web/config.yaml:1", "clusters/prod/apps/web/config.yaml:1")


def test_an_environment_is_the_same_as_itself(fleet: Path) -> None:
    found = diff.compare(*_sides(fleet, "dev", "dev"))
    assert found.rows == ()
    assert found.same == 11


def test_objects_that_only_one_side_has_are_told(fleet: Path) -> None:
    extra = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n"
    for name, file in (("dev", "left"), ("prod", "right")):
        folder = fleet / f"clusters/{name}/apps/web"
        (folder / "extra.yaml").write_text(extra.replace("extra", f"only-{file}"))
        (folder / "kustomization.yaml").write_text((folder / "kustomization.yaml").read_text() + "- extra.yaml\n")
    rows = {(row.object, row.left, row.right) for row in diff.compare(*_sides(fleet, "dev", "prod")).rows if not row.field}
    assert rows == {("ConfigMap/only-left", "present", None), ("ConfigMap/only-right", None, "present")}


def test_a_secrets_values_are_told_apart_and_never_shown(fleet: Path) -> None:
    for name in ("dev", "prod"):
        folder = fleet / f"clusters/{name}/apps/web"
        (folder / "secret.yaml").write_text(
            f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{key: canary-{name}}}\n"
        )
        (folder / "kustomization.yaml").write_text((folder / "kustomization.yaml").read_text() + "- secret.yaml\n")
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "diff", "dev", "prod", "-o", "json"], cwd=fleet, capture_output=True, text=True
    )
    assert "canary" not in done.stdout + done.stderr
    secret = [row for row in json.loads(done.stdout)["differences"] if row["object"] == "Secret/s"]
    assert len(secret) == 1
    assert secret[0]["left"] != secret[0]["right"]


def test_two_revisions_of_one_environment(fleet: Path) -> None:
    config = fleet / "clusters/dev/apps/web/config.yaml"
    config.write_text(config.read_text().replace("10s", "20s"))
    done = subprocess.run([sys.executable, "-m", "penstock", "diff", "dev"], cwd=fleet, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "ConfigMap/web" in done.stdout
    assert [line.split() for line in done.stdout.splitlines() if "checkout_timeout" in line] == [
        ["data.checkout_timeout", "10s", "20s"]
    ]
    same = subprocess.run([sys.executable, "-m", "penstock", "diff", "prod"], cwd=fleet, capture_output=True, text=True)
    assert (same.returncode, same.stdout) == (
        0,
        f"{same.stdout.partition(' and ')[0]} and prod (work tree) are the same: 11 objects\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["dev", "nope"], 1, "there is no environment 'nope'\n  hint: environments here: dev, staging, prod"),
        (["dev", "--from", "nope"], 1, "there is no revision 'nope'"),
        (["dev", "prod", "--from", "HEAD"], 2, "diff takes two environments"),
    ],
)
def test_bad_names_are_refused_with_what_is_there(fleet: Path, arguments: list[str], code: int, said: str) -> None:
    done = subprocess.run([sys.executable, "-m", "penstock", "diff", *arguments], cwd=fleet, capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stderr
