"""`penstock init` writes a repository Flux would accept, and never writes over anything unasked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from penstock.app import init
from penstock.model import errors


def _documents(path: Path) -> list[dict[str, object]]:
    return list(yaml.safe_load_all(path.read_text()))


def test_each_environment_has_one_flux_kustomization_and_its_source(tmp_path: Path) -> None:
    init.repository(tmp_path / "fleet", url="https://git.example/platform/fleet.git")
    for name in ("dev", "staging", "prod"):
        source, sync = _documents(tmp_path / "fleet/clusters" / name / "flux-system/gotk-sync.yaml")
        assert (source["apiVersion"], source["kind"]) == ("source.toolkit.fluxcd.io/v1", "GitRepository")
        assert source["spec"] == {"interval": "1m0s", "ref": {"branch": "main"}, "url": "https://git.example/platform/fleet.git"}
        assert (sync["apiVersion"], sync["kind"]) == ("kustomize.toolkit.fluxcd.io/v1", "Kustomization")
        spec = sync["spec"]
        assert isinstance(spec, dict)
        assert spec["path"] == f"./clusters/{name}"
        assert spec["prune"] is True
        assert spec["interval"] == "5m0s"
        assert spec["sourceRef"] == {"kind": "GitRepository", "name": "fleet"}


def test_environments_share_their_look_and_differ_where_they_should(tmp_path: Path) -> None:
    init.repository(tmp_path / "fleet")
    web = {
        name: _documents(tmp_path / "fleet/clusters" / name / "apps/web/deployment.yaml")[0]["spec"]
        for name in ("dev", "staging", "prod")
    }
    assert [spec["replicas"] for spec in web.values() if isinstance(spec, dict)] == [1, 2, 3]
    images = {str(spec).partition("'image': ")[2].partition(",")[0] for spec in web.values()}
    assert images == {"'registry.example/shop/web:1.4.2'"}
    hosts = {(tmp_path / "fleet/clusters" / name / "apps/web/ingress.yaml").read_text() for name in web}
    flags = {(tmp_path / "fleet/clusters" / name / "apps/web/config.yaml").read_text() for name in ("dev", "prod")}
    assert len(hosts) == 3
    assert len(flags) == 2


def test_every_environment_builds_with_the_real_kustomize(tmp_path: Path, kustomize_binary: Path) -> None:
    init.repository(tmp_path / "fleet")
    for name in ("dev", "staging", "prod"):
        built = subprocess.run(
            [kustomize_binary, "build", tmp_path / "fleet/clusters" / name], capture_output=True, text=True, check=True
        )
        kinds = sorted(document["kind"] for document in yaml.safe_load_all(built.stdout))
        assert kinds == sorted(
            ["GitRepository", "Kustomization", "Namespace", "CronJob", "Ingress", *2 * ["ConfigMap", "Deployment", "Service"]]
        )


def test_the_first_commit_records_todays_differences_as_meant(tmp_path: Path) -> None:
    written = init.repository(tmp_path / "fleet")
    message = subprocess.run(
        ["git", "-C", tmp_path / "fleet", "log", "--format=%H %(trailers:key=Penstock-Adopt,valueonly,separator=%x2C)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split(maxsplit=1)
    assert message == [written.committed, "dev -> staging,staging -> prod\n"]
    status = subprocess.run(
        ["git", "-C", tmp_path / "fleet", "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert status.stdout == ""


def test_a_folder_that_is_not_empty_is_left_alone_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(errors.InputError, match="is not empty, nothing was written"):
        init.repository(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    init.repository(tmp_path, force=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "clusters/dev/kustomization.yaml").exists()


@pytest.mark.parametrize("name", ["", "Prod", "a/b", "..", "-x", "x" * 64])
def test_a_name_that_cannot_be_an_environments_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.InputError, match="cannot be an environment's name"):
        init.repository(tmp_path / "fleet", environments=[name])
    assert not (tmp_path / "fleet").exists()


def test_an_environment_is_added_beside_the_others(tmp_path: Path, kustomize_binary: Path) -> None:
    fleet = tmp_path / "fleet"
    init.repository(fleet)
    pipeline = (fleet / "penstock.yaml").read_text()
    written = init.environment(fleet, "qa", like="staging", after="dev")
    sync = _documents(fleet / "clusters/qa/flux-system/gotk-sync.yaml")[1]
    assert sync["metadata"] == {"name": "qa", "namespace": "flux-system"}
    assert isinstance(sync["spec"], dict)
    assert sync["spec"]["path"] == "./clusters/qa"
    added = yaml.safe_load((fleet / "penstock.yaml").read_text())["spec"]["environments"]
    assert added[-1] == {"name": "qa", "promoteFrom": ["dev"]}
    assert (fleet / "penstock.yaml").read_text().replace("  - name: qa\n    promoteFrom: [dev]\n", "") == pipeline
    assert [str(place) for place in written.names_source] == [
        "clusters/qa/apps/api/config.yaml:7",
        "clusters/qa/apps/web/ingress.yaml:7",
        "clusters/qa/kustomization.yaml:1",
    ]
    subprocess.run([kustomize_binary, "build", fleet / "clusters/qa"], capture_output=True, check=True)


def test_an_environment_that_exists_is_not_written_over(tmp_path: Path) -> None:
    init.repository(tmp_path)
    (tmp_path / "clusters/prod/kustomization.yaml").write_text("mine")
    with pytest.raises(errors.InputError, match="clusters/prod exists, nothing was written"):
        init.environment(tmp_path, "prod", like="dev", after=None)
    assert (tmp_path / "clusters/prod/kustomization.yaml").read_text() == "mine"


def test_copying_an_unknown_environment_names_those_that_are_there(tmp_path: Path) -> None:
    init.repository(tmp_path)
    with pytest.raises(errors.InputError, match=r"clusters/stagin does not exist\n  hint: environments here: dev, prod, staging"):
        init.environment(tmp_path, "qa", like="stagin", after=None)
