"""What the controllers log, one JSON object to a line, as Flux's controllers log it.

In: records of `logging`, and the reconciliation they belong to. Out: lines with `level`, `ts`, `msg`, and `controller`,
`controllerKind`, `namespace`, `name`, `reconcileID` and `revision` where there are such. Every line of one pass carries the
same `reconcileID`: it is what to search for.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import traceback
import uuid
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, TextIO

Level = Literal["trace", "debug", "info", "error"]
Encoding = Literal["json", "console"]
LEVELS: dict[Level, int] = {"trace": 5, "debug": logging.DEBUG, "info": logging.INFO, "error": logging.ERROR}
_FIELDS = "fields"
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_about: ContextVar[Mapping[str, Any]] = ContextVar("about", default=_NOTHING)


@contextlib.contextmanager
def reconciling(*, controller: str, group: str, kind: str, namespace: str, name: str, cluster: str = "") -> Iterator[str]:
    """Everything logged inside belongs to one pass over this object; its id."""
    token = uuid.uuid4().hex
    about: dict[str, Any] = {
        "controller": controller,
        "controllerGroup": group,
        "controllerKind": kind,
        kind: {"name": name, "namespace": namespace},
        "namespace": namespace,
        "name": name,
        "reconcileID": str(uuid.UUID(token)),
    }
    if cluster:
        about["cluster"] = cluster
    mark = _about.set(about)
    try:
        yield about["reconcileID"]
    finally:
        _about.reset(mark)


def current() -> str:
    """The id of the pass under way, '' outside of one."""
    return str(_about.get().get("reconcileID") or "")


def fields(**values: Any) -> dict[str, Any]:
    """Further fields of one line: `log.info("...", extra=journal.fields(revision=revision))`."""
    return {_FIELDS: values}


class Json(logging.Formatter):
    """One JSON object to a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "level": _level(record),
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "logger": record.name.removeprefix("penstock."),
            "msg": record.getMessage(),
            **_about.get(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info is not None and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["stacktrace"] = _frames(record)
        return json.dumps(line, ensure_ascii=False, default=str)


class Console(logging.Formatter):
    """For eyes: time, level, object, message."""

    def format(self, record: logging.LogRecord) -> str:
        about = _about.get()
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        what = f" {about['controllerKind']}/{about['name']}.{about['namespace']}" if about else ""
        more = "".join(f" {key}={value}" for key, value in getattr(record, _FIELDS, {}).items())
        text = f"{moment} {_level(record)}{what} - {record.getMessage()}{more}"
        return f"{text}\n{_frames(record)}" if record.exc_info is not None and record.exc_info[0] is not None else text


def to(stream: TextIO | None = None, *, level: Level = "info", encoding: Encoding = "json") -> logging.Handler:
    """Have everything of ours logged there (standard error by default); the handler, for whoever wants it removed."""
    handler = _Unbreakable(stream if stream is not None else sys.stderr)
    handler.setFormatter(Json() if encoding == "json" else Console())
    logger = logging.getLogger("penstock")
    logger.addHandler(handler)
    logger.setLevel(LEVELS[level])
    logger.propagate = False
    return handler


class _Unbreakable(logging.StreamHandler[TextIO]):
    """A reader that went away or a full disk must not stop a reconciliation: such lines are counted and lost."""

    lost = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the overridden name
        self.lost += 1


def _level(record: logging.LogRecord) -> str:
    if record.levelno >= logging.ERROR:
        return "error"
    return "info" if record.levelno >= logging.INFO else "debug" if record.levelno >= logging.DEBUG else "trace"


def _frames(record: logging.LogRecord) -> str:
    """Where it came from, without the exception's text and without source lines: values may be secret."""
    assert record.exc_info is not None
    frames = traceback.extract_tb(record.exc_info[2])[-12:]
    return "\n".join(f"{frame.filename.rpartition('/penstock/')[2]}:{frame.lineno} in {frame.name}" for frame in frames)
