"""What an endpoint or a metric has to say, and what its silence means."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from penstock.model.pipeline import Gates, HttpCheck, MetricQuery
from penstock.model.question import Answer
from penstock.promote import checking

ABOUT = {"app": 'we"b', "environment": "prod", "source": "staging", "commit": "a" * 40}
SMOKE = HttpCheck(name="smoke", url="https://status.example.com/ready?app=${app}&at=${commit}")
ERRORS = MetricQuery(name="errors", address="https://prom.example.com/", query='rate(x{app="${app}"}[5m])', below=0.01)


def test_the_questions_are_about_this_change_and_no_value_breaks_out_of_its_place() -> None:
    found = dict(checking.questions(Gates(http=(SMOKE,), metrics=(ERRORS,)), ABOUT))
    assert found["smoke"].url == f"https://status.example.com/ready?app=we%22b&at={'a' * 40}"
    asked = urlsplit(found["errors"].url)
    assert (asked.path, parse_qs(asked.query)) == ("/api/v1/query", {"query": ['rate(x{app="we\\"b"}[5m])']})
    assert found["errors"].timeout == timedelta(seconds=10)


@pytest.mark.parametrize(
    ("check", "answer", "expected"),
    [
        (SMOKE, None, ("waiting", "smoke was not asked yet")),
        (SMOKE, Answer(status=204), ("passed", "smoke answered 204")),
        (SMOKE, Answer(status=503), ("failed", "smoke answered 503")),
        (SMOKE, Answer(status=302), ("failed", "smoke answered 302")),
        (SMOKE, Answer(problem="no answer within 10 s"), ("waiting", "smoke cannot be asked: no answer within 10 s")),
        (SMOKE, Answer(problem="it may not", refused=True), ("failed", "smoke cannot be asked: it may not")),
        (HttpCheck(name="a", url="", statuses=(418,)), Answer(status=418), ("passed", "a answered 418")),
        (HttpCheck(name="a", url="", statuses=(418,)), Answer(status=200), ("failed", "a answered 200")),
        (HttpCheck(name="a", url="", contains="ok"), Answer(status=200, body=b"all ok"), ("passed", "a answered 200")),
        (HttpCheck(name="a", url="", contains="ok"), Answer(status=200, body=b"no"), ("failed", "a answered without 'ok'")),
    ],
)
def test_an_endpoint(check: HttpCheck, answer: Answer | None, expected: tuple[str, str]) -> None:
    found = checking.http(check, answer)
    assert (found.state, found.text) == expected


def prometheus(kind: str, result: Any) -> Answer:
    body = {"status": "success", "data": {"resultType": kind, "result": result}}
    return Answer(status=200, body=json.dumps(body).encode())


def sample(value: str) -> dict[str, Any]:
    return {"metric": {"app": "web"}, "value": [1772463600, value]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (prometheus("vector", [sample("0.001"), sample("0.005")]), ("passed", "errors is 0.005, below 0.01")),
        (prometheus("vector", [sample("0.001"), sample("0.5")]), ("failed", "errors is 0.5, not below 0.01")),
        (prometheus("vector", [sample("0.01")]), ("failed", "errors is 0.01, not below 0.01")),
        (prometheus("vector", [sample("+Inf")]), ("failed", "errors is inf, not below 0.01")),
        (prometheus("vector", [sample("NaN")]), ("waiting", "errors has no number yet")),
        (prometheus("vector", []), ("waiting", "errors has no data yet")),
        (prometheus("scalar", [1772463600, "0"]), ("passed", "errors is 0, below 0.01")),
        (prometheus("matrix", []), ("failed", "errors: the query gives matrix, not a vector or a scalar")),
        (prometheus("vector", [{"value": "x"}]), ("failed", "errors: the query gives vector, not a vector or a scalar")),
        (Answer(status=502, body=b"<html>"), ("failed", "errors: answered 502 with something that is not Prometheus' JSON")),
        (
            Answer(status=400, body=b'{"status":"error","errorType":"bad_data","error":"parse error"}'),
            ("failed", "errors: Prometheus refuses the query: parse error"),
        ),
        (Answer(problem="no answer within 10 s"), ("waiting", "errors cannot be asked: no answer within 10 s")),
    ],
)
def test_a_metric(answer: Answer, expected: tuple[str, str]) -> None:
    found = checking.metric(ERRORS, answer)
    assert (found.state, found.text) == expected


def test_a_metric_may_have_a_floor() -> None:
    ready = MetricQuery(name="ready", address="", query="", above=0.99)
    assert checking.metric(ready, prometheus("scalar", [0, "1"])).state == "passed"
    assert checking.metric(ready, prometheus("scalar", [0, "0.5"])).text == "ready is 0.5, not above 0.99"
