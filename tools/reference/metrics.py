"""Every metric that is exposed: found in the code by its name."""

from __future__ import annotations

import ast
import re

from tools.reference import sources

_NAME = re.compile(r"\b(?:gotk|penstock|controller_runtime)_[a-z][a-z0-9_]*[a-z0-9]\b")
_HELP = re.compile(r"# HELP (\S+) (.*)")
_TYPES = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram", "Summary": "summary"}
_TAILS = ("_bucket", "_sum", "_count", "_created")


def found() -> dict[str, tuple[str, str]]:
    """By name: (type, help)."""
    result: dict[str, tuple[str, str]] = {}
    mentioned: set[str] = set()
    for module in sources.modules():
        if module.name.startswith(("sandbox", "cli.")):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and (made := _constructed(node)) is not None:
                result[made[0]] = made[1:]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                for line in node.value.splitlines():
                    if match := re.match(r"# TYPE (\S+) (\S+)", line):
                        result.setdefault(match[1], (match[2], ""))
                    elif match := _HELP.match(line):
                        result[match[1]] = (result.get(match[1], ("", ""))[0], match[2])
                if re.fullmatch(_NAME, node.value):
                    mentioned.add(node.value)
    for name in mentioned:
        base = next((name.removesuffix(tail) for tail in _TAILS if name.endswith(tail)), name)
        if (
            name not in result
            and base not in result
            and name.endswith(("_total", "_seconds", "_bytes", "_info", "_ratio", "_condition"))
        ):
            result[name] = ("", "")
    return dict(sorted(result.items()))


def _constructed(call: ast.Call) -> tuple[str, str, str] | None:
    """(name, type, help) of a call such as Counter('penstock_x_total', 'How many x.')."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    words = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if not words or not re.fullmatch(_NAME, words[0]):
        return None
    kind = _TYPES.get(function) or next((short for long, short in _TYPES.items() if function.startswith(long)), "")
    return (words[0], kind, words[1] if len(words) > 1 else "") if kind else None


def page() -> str:
    lines = [
        "# Metrics",
        "",
        "In Prometheus' exposition format. Names that Flux's dashboards read are Flux's.",
        "",
        "| name | type | |",
        "|---|---|---|",
        *(f"| `{name}` | {kind} | {text} |" for name, (kind, text) in found().items()),
    ]
    return "\n".join(lines) + "\n"
