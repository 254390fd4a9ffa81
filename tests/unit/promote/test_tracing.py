"""The trace of a change is computed from its commit, and joins the one its author began."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from penstock.app import tracing as asked
from penstock.model.values import CommitId, EnvName
from penstock.promote import records, tracing

COMMIT = CommitId("a" * 40)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_everybody_computes_the_same_context_of_a_commit() -> None:
    one, other = tracing.context_of(COMMIT, "x"), tracing.context_of(COMMIT, "x")
    assert one == other
    assert (len(one.trace), len(one.root), one.parent) == (32, 16, "")
    assert tracing.context_of(CommitId("b" * 40), "x").trace != one.trace


def test_a_commit_that_names_a_trace_is_part_of_it() -> None:
    found = tracing.context_of(COMMIT, f"subject\n\nPenstock-Trace: {PARENT}\n")
    assert (found.trace, found.parent) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert str(found) == f"00-{found.trace}-{found.root}-01"
    assert found.root != found.parent


@pytest.mark.parametrize(
    "trailer",
    [
        "",
        "x",
        PARENT.upper(),
        "01" + PARENT[2:],
        PARENT[:-4],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
    ],
)
def test_a_trailer_that_is_no_traceparent_names_none(trailer: str) -> None:
    assert tracing.context_of(COMMIT, f"subject\n\nPenstock-Trace: {trailer}\n") == tracing.context_of(COMMIT, "")


def test_the_trailer_of_a_promotion_is_read_back() -> None:
    promotion = records.Promotion(unit="web", source=EnvName("dev"), commit=COMMIT, target=EnvName("prod"), trace=PARENT)
    assert records.parse(promotion.trailers()).promotions == (promotion,)


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_traces_are_told_only_where_the_environment_asks_for_them(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], wanted: bool
) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert asked.wanted() is wanted


def test_nothing_of_opentelemetry_is_imported_where_nobody_asked() -> None:
    code = (
        "import sys, penstock.app.fleet, penstock.controllers.promotion; print([m for m in sys.modules if 'opentelemetry' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
