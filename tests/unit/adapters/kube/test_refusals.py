"""What an API server's refusals become."""

from __future__ import annotations

import pytest

from penstock.adapters.kube import refusals
from penstock.model.errors import RaceError, RefusedError, TransientError


@pytest.mark.parametrize(
    ("status", "answer", "kind", "code"),
    [
        (409, {"reason": "Conflict"}, RaceError, "Conflict"),
        (409, {"reason": "AlreadyExists"}, RaceError, "AlreadyExists"),
        (410, {"reason": "Expired"}, RaceError, "Expired"),
        (422, {"reason": "Invalid"}, RefusedError, "Invalid"),
        (403, {"reason": "Forbidden"}, RefusedError, "Forbidden"),
        (
            403,
            {"reason": "Forbidden", "message": "namespace x because it is being terminated"},
            TransientError,
            "NamespaceTerminating",
        ),
        (429, {"reason": "TooManyRequests"}, TransientError, "TooManyRequests"),
        (503, {}, TransientError, "ServerError"),
        (500, {"message": "failed to create typed patch object (a; v1): .data.x: expected string"}, RefusedError, "Invalid"),
        (400, {"message": 'failed calling webhook "x": timeout'}, TransientError, "ServerError"),
    ],
)
def test_a_refusal_is_classified_by_what_the_caller_can_do(status, answer, kind, code):
    error = refusals.error(status, answer, "apply ConfigMap/a")
    assert isinstance(error, kind)
    assert error.code == code


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            'Secret "a" is invalid: data[k]: Invalid value: "s3cr3t: \\"x\\"": must be short',
            'Secret "a" is invalid: data[k]: Invalid value: must be short',
        ),
        (
            "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535",
            "spec.ports[0].port: Invalid value: must be between 1 and 65535",
        ),
        ('spec.x: Invalid value: {"pw":"s3cr3t","b":{"c":1}}: field is immutable', "spec.x: Invalid value: field is immutable"),
        (".data.x: expected string, got &value.valueUnstructured{Value:3}", ".data.x: expected string, got another type"),
    ],
)
def test_a_message_never_quotes_a_value(said, shown):
    assert refusals.redact(said) == shown


def test_causes_name_the_fields():
    answer = {
        "details": {"causes": [{"field": "spec.a", "reason": "FieldValueInvalid", "message": 'Invalid value: "s3cr3t": no'}]}
    }
    (cause,) = refusals.causes(answer)
    assert (cause.field, cause.reason, cause.message) == ("spec.a", "FieldValueInvalid", "Invalid value: no")


def test_something_that_is_not_a_status_is_still_an_answer():
    assert refusals.read(502, b"<html>bad gateway</html>")["message"] == "HTTP 502"
