"""Reading logs back, from lines that our own formatter wrote."""

from __future__ import annotations

import logging

from penstock.app import logs
from penstock.controllers import journal


def written(path):
    with path.open("w") as file:
        handler = journal.to(file)
        try:
            log = logging.getLogger("penstock.test")
            about = {"controller": "kustomization", "group": "kustomize.toolkit.fluxcd.io", "kind": "Kustomization"}
            with journal.reconciling(namespace="flux-system", name="dev", **about) as token:
                log.info("applied")
            with journal.reconciling(namespace="apps", name="web", **about):
                log.error("failed")
            log.info("shutting down")
            file.write("not json\n")
        finally:
            logging.getLogger("penstock").removeHandler(handler)
            logging.getLogger("penstock").propagate = True
    return token


def test_lines_are_found_by_what_they_are_about(tmp_path):
    path = tmp_path / "penstock.log"
    token = written(path)

    def found(**wanted):
        return [line.message for line in logs.of_file(path, logs.Wanted(**wanted), 100)]

    assert found() == ["applied", "failed", "shutting down"]
    assert found(namespace="flux-system") == ["applied", "shutting down"]
    assert found(level="error") == ["failed"]
    assert found(kind="kustomization", name="web") == ["failed"]
    assert found(reconcile_id=token) == ["applied"]


def test_a_line_reads_as_flux_shows_it(tmp_path):
    path = tmp_path / "penstock.log"
    written(path)
    text = logs.of_file(path, logs.Wanted(name="web"), 100)[0].text()
    moment, rest = text.split(" ", 1)
    assert moment.endswith("Z") and rest == "error Kustomization/web.apps - failed"
