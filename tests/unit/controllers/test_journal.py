"""The log's lines."""

from __future__ import annotations

import io
import json
import logging

import pytest

from penstock.controllers import journal

LOG = logging.getLogger("penstock.test")


@pytest.fixture
def written():
    stream = io.StringIO()
    handler = journal.to(stream, level="info")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger("penstock").removeHandler(handler)
    logging.getLogger("penstock").propagate = True


def test_every_line_of_one_pass_carries_its_id_and_object(written):
    about = {"controller": "kustomization", "group": "kustomize.toolkit.fluxcd.io", "kind": "Kustomization"}
    with journal.reconciling(namespace="flux-system", name="dev", **about) as first:
        LOG.info("one", extra=journal.fields(revision="main@sha1:abc"))
        LOG.warning("two")
    with journal.reconciling(namespace="flux-system", name="dev", **about) as second:
        LOG.error("three")
    LOG.info("outside")
    one, two, three, outside = written()
    assert one["reconcileID"] == two["reconcileID"] == first
    assert three["reconcileID"] == second != first
    assert "reconcileID" not in outside
    known = {key: one[key] for key in ("level", "msg", "controllerKind", "namespace", "name", "revision")}
    assert known == {
        "level": "info",
        "msg": "one",
        "controllerKind": "Kustomization",
        "namespace": "flux-system",
        "name": "dev",
        "revision": "main@sha1:abc",
    }
    assert three["level"] == "error"


def test_an_exception_is_told_by_its_place_and_never_by_its_text(written):
    try:
        raise ValueError("password=hunter2")
    except ValueError:
        LOG.exception("it failed")
    (line,) = written()
    assert line["error"] == "ValueError" and "test_journal.py" in line["stacktrace"]
    assert "hunter2" not in json.dumps(line)


def test_a_log_that_cannot_be_written_stops_nobody():
    """A full disk or a closed pipe: the work goes on, and the lost lines are counted."""

    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    handler = journal.to(Full())
    try:
        LOG.info("lost")
        assert handler.lost == 1
    finally:
        logging.getLogger("penstock").removeHandler(handler)
        logging.getLogger("penstock").propagate = True
