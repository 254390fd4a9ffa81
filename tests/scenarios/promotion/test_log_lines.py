"""Log lines of promotion can be joined with the trace, the pull request and the commit they are about."""

from __future__ import annotations

import io
import json
import logging

from promotion_fleet import Fleet

from penstock.controllers import journal
from penstock.model.values import CommitId
from penstock.promote import tracing


async def test_every_step_of_a_change_is_logged_under_one_trace_id(fleet: Fleet) -> None:
    stream, logger = io.StringIO(), logging.getLogger("penstock")
    level, propagate = logger.level, logger.propagate
    handler = journal.to(stream)
    try:
        commit = CommitId(await fleet.raise_timeout())
        await fleet.syncs("dev")
        await fleet.settle()
        await fleet.approve(await fleet.the_pull())
        await fleet.settle()
        await fleet.syncs("staging")
        await fleet.settle()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    steps = [line for line in lines if line.get("action") in ("open", "merge")]
    assert [(line["action"], line["environment"]) for line in steps] == [
        ("open", "staging"),
        ("merge", "staging"),
        ("open", "prod"),
    ]
    trace = tracing.context_of(commit, "").trace
    assert {line["traceID"] for line in steps} == {trace}
    assert {line["revision"] for line in steps} == {commit}
    assert [line["pull"] for line in steps] == [1, 1, 2]
