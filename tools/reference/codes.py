"""Every error code: who can act on it, what the message says, where it is raised."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from tools.reference import sources

_CODE = re.compile(r"[A-Z][A-Za-z]+\Z")
_KIND = {
    "ConflictError": 2,
    "RemoteError": 3,
    "TransientError": 3,
    "RefusedError": 3,
    "RaceError": 3,
    "BusyError": 3,
    "ApiRefusedError": 3,
    "PenstockError": 70,
}


def found() -> dict[str, list[tuple[int, str, str]]]:
    """By code: (exit code, message, module) of every place that gives it."""
    result: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for module in sources.modules():
        variables: dict[str, set[str]] = defaultdict(set)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                variables[node.targets[0].id] |= _texts(node.value)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                for code in _codes(node, variables):
                    result[code].append((_exit(node), _message(node), module.name))
            elif isinstance(node, ast.FunctionDef):
                for argument, default in _defaults(node):
                    if argument == "code" and isinstance(default, ast.Constant) and _CODE.match(str(default.value)):
                        result[str(default.value)].append((_exit_of_module(module.name, node), "", module.name))
    return dict(sorted(result.items()))


def _codes(call: ast.Call, variables: dict[str, set[str]]) -> set[str]:
    codes: set[str] = set()
    for keyword in call.keywords:
        if keyword.arg == "code":
            codes |= _texts(keyword.value)
            for node in ast.walk(keyword.value):
                if isinstance(node, ast.Name) and "code" in node.id:
                    codes |= variables[node.id]
    return codes


def _texts(value: ast.expr) -> set[str]:
    return {
        node.value
        for node in ast.walk(value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.match(node.value)
    }


def _defaults(function: ast.FunctionDef) -> list[tuple[str, ast.expr | None]]:
    positional = function.args.posonlyargs + function.args.args
    defaults = function.args.defaults
    pairs: list[tuple[str, ast.expr | None]] = [
        (argument.arg, default) for argument, default in zip(positional[len(positional) - len(defaults) :], defaults, strict=True)
    ]
    return pairs + [(one.arg, default) for one, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)]


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def _exit(call: ast.Call) -> int:
    return _KIND.get(_name(call), 1)


def _exit_of_module(module: str, function: ast.FunctionDef) -> int:
    if module.startswith(("adapters.git", "adapters.kube", "adapters.forge")):
        return 3
    return 1


def _message(call: ast.Call) -> str:
    what = next((keyword.value for keyword in call.keywords if keyword.arg == "what"), call.args[0] if call.args else None)
    return " ".join(sources.template(what).split())


def page() -> str:
    lines = [
        "# Error codes",
        "",
        "Every finding and error has a code that stays, whatever becomes of its words. `penstock check -o json` prints it, and",
        "so do the exit codes in the column *exit* ([what they mean](cli.md#exit-codes)). `…` stands for a name or a place,",
        "never for a value of a manifest.",
        "",
        "| code | exit | says |",
        "|---|---|---|",
    ]
    for code, places in found().items():
        exits = ", ".join(str(one) for one in sorted({exit_code for exit_code, _, _ in places}))
        messages = list(dict.fromkeys(_escaped(message) for _, message, _ in places if message))
        says = "<br>".join(messages[:4]) or "in " + ", ".join(
            f"`{name}`" for name in dict.fromkeys(name for _, _, name in places)
        )
        if len(messages) > 4:
            says += f"<br>… and {len(messages) - 4} more"
        lines.append(f"| `{code}` | {exits} | {says} |")
    lines += [
        "",
        "A cluster's own reasons (`Forbidden`, `NotFound`, `AlreadyExists` and the like) are passed on as it spells them.",
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;").replace("*", r"\*").replace("_", r"\_").replace("`", "'")
