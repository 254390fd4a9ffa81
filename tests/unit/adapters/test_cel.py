"""CEL answers what Flux's expressions ask, and a hostile expression ends its child, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from penstock.adapters.cel import Evaluator, ExpressionError

CERTIFICATE = {
    "apiVersion": "cert-manager.io/v1",
    "kind": "Certificate",
    "metadata": {"generation": 2, "labels": {"a": "b"}},
    "status": {
        "observedGeneration": 2,
        "phase": "Bound",
        "ratio": 0.5,
        "nothing": None,
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Issuing", "status": "False"}],
    },
}


@pytest.fixture
async def cel() -> AsyncIterator[Evaluator]:
    made = Evaluator()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')", True),
        ("status.conditions.exists(e, e.type == 'Ready' && e.status == 'False')", False),
        ("has(status.phase) && status.phase in ['Bound', 'Available']", True),
        ("status.phase.lowerAscii() == 'bound' && status.phase.matches('^B.*d$')", True),
        ("has(status.missing)", False),
        ("status.?missing.orValue('x') == 'x'", True),
        ("metadata.generation == status.observedGeneration", True),
        ("metadata.generation == 2.0 && status.ratio < 1", True),
        ("sets.contains(status.conditions.map(c, c.type), ['Ready'])", True),
        ("sets.intersects([1, 2], [3]) || sets.equivalent([1, 1, 2], [2, 1])", True),
        ("status.nothing == null", True),
        ("timestamp('2024-01-01T00:00:00Z') < timestamp('2025-01-01T00:00:00Z')", True),
        ("base64.encode(b'a') == 'YQ=='", True),
        ("'a-b'.split('-') == ['a', 'b'] && size('äö') == 2", True),
    ],
)
async def test_what_expressions_of_flux_say(cel, expression, expected):
    await cel.check(expression)
    assert await cel.holds(expression, CERTIFICATE) is expected


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("status.conditions.filter(e, e.type == ", "Syntax error"),
        ("1 +", "Syntax error"),
        ("(" * 500 + "1" + ")" * 500, "recursion limit"),
        ("a" * 20_000, "longer than"),
    ],
)
async def test_what_is_no_expression_is_refused_when_it_is_checked(cel, expression, why):
    with pytest.raises(ExpressionError, match=why):
        await cel.check(expression)


async def test_with_declared_variables_names_and_the_result_are_checked(cel):
    await cel.check("dep.status.observedGeneration == self.metadata.generation", ("self", "dep"))
    with pytest.raises(ExpressionError, match="undeclared reference to 'foo"):
        await cel.check("foo.x == 1", ("self", "dep"))
    with pytest.raises(ExpressionError, match="output type mismatch: expected bool, got int"):
        await cel.check("1 + 1", ("self", "dep"))


async def test_errors_name_what_is_missing_and_never_a_value(cel):
    with pytest.raises(ExpressionError, match='Key not found in map : "missing"'):
        await cel.holds("status.missing == 1", CERTIFICATE)
    with pytest.raises(ExpressionError) as caught:
        await cel.holds("int(data.password) == 1", {"data": {"password": "swordfish"}})
    assert "swordfish" not in str(caught.value)
    with pytest.raises(ExpressionError, match="no boolean"):
        await cel.holds("status.phase", CERTIFICATE)


@pytest.mark.parametrize(
    "expression",
    [
        "text.replace('x', text).replace('x', text).size() > 0",
        "list.all(a, list.all(b, list.all(c, a + b + c >= 0)))",
        "[text]" + ".map(t, t + t)" * 20 + ".size() == 0",
    ],
)
async def test_a_hostile_expression_is_ended_and_the_next_one_is_answered(cel, expression):
    with pytest.raises(ExpressionError, match=r"budget|more time or memory"):
        await cel.holds(expression, {"text": "x" * 20_000, "list": list(range(300))})
    assert await cel.holds("status.phase == 'Bound'", CERTIFICATE)
    with pytest.raises(ExpressionError, match=r"budget|more time or memory"):
        await cel.holds(expression, {"text": "x" * 20_000, "list": list(range(300))})
