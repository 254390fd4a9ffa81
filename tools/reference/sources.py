"""The package's source as syntax trees, read once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "penstock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module."""

    name: str
    """Below penstock, with dots."""
    tree: ast.Module


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        found.append(Module(name=name, tree=ast.parse(path.read_text())))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A text with a name in some module."""

    module: str
    name: str
    value: str
    doc: str


def constants() -> Iterator[Constant]:
    """NAME = 'text' at the top of a module, f-strings of earlier constants included, with the docstring below it."""
    for module in modules():
        known: dict[str, str] = {}
        body = module.tree.body
        for statement, after in zip(body, [*body[1:], None][: len(body)], strict=True):
            target, value = None, None
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                target, value = statement.targets[0], statement.value
            elif isinstance(statement, ast.AnnAssign):
                target, value = statement.target, statement.value
            if not isinstance(target, ast.Name) or value is None or (text := _text(value, known)) is None:
                continue
            known[target.id] = text
            doc = ""
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
                doc = " ".join(after.value.value.split())
            yield Constant(module=module.name, name=target.id, value=text, doc=doc)


def _text(value: ast.expr, known: dict[str, str]) -> str | None:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.Name):
        return known.get(value.id)
    if isinstance(value, ast.JoinedStr):
        parts = [_text(part.value if isinstance(part, ast.FormattedValue) else part, known) for part in value.values]
        return None if None in parts else "".join(part for part in parts if part)
    return None


def template(value: ast.expr | None) -> str:
    """The words of a message, with '…' where a value goes; '' when they stand elsewhere."""
    match value:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in values)  # type: ignore[misc]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (template(left) or "…") + (template(right) or "…")
        case ast.IfExp(body=body, orelse=other):
            return template(body) or template(other)
    return ""
