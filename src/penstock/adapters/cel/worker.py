"""The child process that evaluates CEL: expressions come from tenants, so they run where a limit can end them.

In (stdin): requests, each a length and JSON: `expression`, `checked` (the names of the declared variables, or null for
those of the data), `data` or null to compile only. Out (stdout): answers of the same form, `value` or `error`. An
evaluation that takes more processor time than `CPU_SECONDS` ends the process, and so does one that takes more memory.
"""

from __future__ import annotations

import resource
import signal
import struct
import sys
from functools import lru_cache
from typing import Any

import msgspec

CPU_SECONDS = 1.0
MEMORY_BYTES = 1024**3
_COMPILED = 4096
_TELLING = ("NOT_FOUND: Key not found in map", "UNKNOWN: No matching overloads found", "UNKNOWN: No value with name")
"""Errors that name parts of the expression only; any other may quote a value."""


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while len(header := sys.stdin.buffer.read(4)) == 4:
        request = msgspec.json.decode(sys.stdin.buffer.read(struct.unpack(">I", header)[0]))
        # the signal's default action ends the process in the middle of whatever it computes
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        answer = msgspec.json.encode(answered(request["expression"], request["checked"], request["data"]))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(struct.pack(">I", len(answer)) + answer)
        sys.stdout.buffer.flush()


def answered(expression: str, checked: list[str] | None, data: dict[str, Any] | None) -> dict[str, Any]:
    """The answer to one request."""
    try:
        compiled = _compiled(expression, tuple(checked) if checked is not None else None)
    except RuntimeError as error:
        return {"error": _compile_error(str(error))}
    if checked is not None and compiled.return_type().name() != "BOOL":
        return {
            "error": f"CEL expression output type mismatch: expected bool, got {compiled.return_type().name().lower()}",
        }
    if data is None:
        return {"value": None}
    try:
        value = compiled.eval(data=data)
    except RuntimeError as error:
        return {"error": _why(str(error))}
    kind = value.type().name()
    if kind == "BOOL":
        return {"value": bool(value.plain_value())}
    if kind == "ERROR":
        return {"error": _why(str(value.plain_value()))}
    return {"error": f"the result is no boolean but {kind.lower()}"}


def _why(text: str) -> str:
    text = text.strip().splitlines()[0]
    if "Iteration budget exceeded" in text:
        return "the expression exceeds its budget of iterations"
    return text.partition(": ")[2] if text.startswith(_TELLING) else "the evaluation failed"


def _compile_error(text: str) -> str:
    lines = [line.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]") for line in text.splitlines()]
    return " ".join(line.strip() for line in lines if line.strip(" |.^"))


@lru_cache(maxsize=_COMPILED)
def _compiled(expression: str, checked: tuple[str, ...] | None) -> Any:
    return _environment(checked or ()).compile(expression, disable_check=checked is None)


@lru_cache(maxsize=16)
def _environment(variables: tuple[str, ...]) -> Any:
    """The functions that Flux's expressions have: the standard ones, optionals, strings, encoders and sets."""
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_encoders, ext_optional, ext_strings

    lists = [cel.Type.List(cel.Type.DYN)] * 2

    def declared(name: str, impl: Any) -> Any:
        overload = cel.Overload(f"list_{name.replace('.', '_')}_list", cel.Type.BOOL, lists, False, impl)
        return cel.FunctionDecl(name, [overload])

    sets = cel.CelExtension(
        "sets",
        [
            declared("sets.contains", _contains),
            declared("sets.equivalent", lambda one, other: _contains(one, other) and _contains(other, one)),
            declared("sets.intersects", lambda one, other: any(each in other for each in one) if one and other else False),
        ],
    )
    return cel.NewEnv(
        variables=dict.fromkeys(variables, cel.Type.DYN),
        extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional(), ext_encoders.ExtEncoders(), sets],
    )


def _contains(whole: list[Any], part: list[Any]) -> bool:
    return all(each in whole for each in part)


if __name__ == "__main__":
    main()
