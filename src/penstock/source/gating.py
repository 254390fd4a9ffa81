"""The gates of penstock.yaml. In: a cursor on them, defaults. Out: `Gates`; problems are collected by the cursor."""

from __future__ import annotations

from datetime import time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from penstock.model import address
from penstock.model.pipeline import Gates, HttpCheck, MetricQuery, RequiredStatus, Window
from penstock.source.reading import Cursor

GATE_FIELDS = ("healthy", "soak", "approvals", "windows", "statuses", "references", "http", "prometheus")
APPROVAL_FIELDS = ("count", "from", "byAuthors")
WINDOW_FIELDS = ("days", "from", "to", "timeZone")
STATUS_FIELDS = ("context", "creator")
HTTP_FIELDS = ("name", "url", "status", "contains", "timeout", "credential")
METRIC_FIELDS = ("name", "address", "query", "below", "above", "timeout", "credential")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def read(gates: Cursor, default: Gates) -> Gates:
    """The gates of one place; what it does not say is as in `default`."""
    if not gates.present:
        return default
    gates.fields(GATE_FIELDS)
    approvals = gates.at("approvals")
    count, approvers, by_authors = default.approvals, default.approvers, default.by_authors
    if isinstance(approvals.value, dict):
        approvals.fields(APPROVAL_FIELDS)
        count = approvals.at("count").count(1)
        approvers = approvals.at("from").texts()
        by_authors = approvals.at("byAuthors").flag(False)
    elif approvals.present:
        count = approvals.count(default.approvals)
    windows = gates.at("windows")
    statuses, http, metrics = gates.at("statuses"), gates.at("http"), gates.at("prometheus")
    return Gates(
        healthy=gates.at("healthy").flag(default.healthy),
        soak=gates.at("soak").duration(default.soak),
        approvals=count,
        approvers=approvers,
        by_authors=by_authors,
        windows=tuple(_window(item) for item in windows.items()) if windows.present else default.windows,
        statuses=tuple(_status(item) for item in statuses.items()) if statuses.present else default.statuses,
        references=gates.at("references").flag(default.references),
        http=tuple(_http(item) for item in http.items()) if http.present else default.http,
        metrics=tuple(_metric(item) for item in metrics.items()) if metrics.present else default.metrics,
    )


def _http(item: Cursor) -> HttpCheck:
    item.fields(HTTP_FIELDS, required=("name", "url"))
    statuses = tuple(one.count(0) for one in item.at("status").items())
    return HttpCheck(
        name=item.at("name").text(),
        url=_url(item.at("url")),
        statuses=statuses,
        contains=item.at("contains").text(),
        timeout=_timeout(item.at("timeout")),
        credential=item.at("credential").text(),
        place=item.place,
    )


def _metric(item: Cursor) -> MetricQuery:
    item.fields(METRIC_FIELDS, required=("name", "address", "query"))
    below, above = item.at("below").number(), item.at("above").number()
    if below is None and above is None:
        item.problem("a query needs 'below' or 'above'", "below: 0.01 lets a change go while every value is below that")
    return MetricQuery(
        name=item.at("name").text(),
        address=_url(item.at("address")),
        query=item.at("query").text(),
        below=below,
        above=above,
        timeout=_timeout(item.at("timeout")),
        credential=item.at("credential").text(),
        place=item.place,
    )


def _url(item: Cursor) -> str:
    text = item.text()
    if text and (problem := address.problem(text)):
        item.problem(problem, "write it like https://status.example.com/ready?app=${app}; credential: names a secret")
    return text


def _timeout(item: Cursor) -> timedelta:
    found = item.duration(timedelta(seconds=10))
    if not timedelta(0) < found <= timedelta(seconds=30):
        item.problem("a timeout is more than 0 and at most 30s")
        return timedelta(seconds=10)
    return found


def _status(item: Cursor) -> RequiredStatus:
    item.fields(STATUS_FIELDS, required=("context",))
    return RequiredStatus(context=item.at("context").text(), creator=item.at("creator").text())


def _window(item: Cursor) -> Window:
    item.fields(WINDOW_FIELDS, required=("from", "to", "timeZone"))
    zone = item.at("timeZone").text("UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        item.at("timeZone").problem(f"unknown time zone {zone!r}", "a name like Europe/Berlin or UTC", code="UnknownTimeZone")
        zone = "UTC"
    start, end = _time_of_day(item.at("from")), _time_of_day(item.at("to"))
    return Window(days=_days(item.at("days")), start=start, end=end, zone=zone, place=item.place)


def _time_of_day(item: Cursor) -> time:
    text = item.text("00:00")
    try:
        return time.fromisoformat("00:00" if text == "24:00" else text)
    except ValueError:
        item.problem("not a time of day", "write it like '09:00'")
        return time(0)


def _days(item: Cursor) -> tuple[int, ...]:
    """Weekdays of a list of names and ranges ('Mon-Fri'); absent: every day."""
    texts = (item.text(),) if isinstance(item.value, str) else item.texts()
    if not item.present:
        return tuple(range(7))
    days: set[int] = set()
    for text in texts:
        first, _, last = text.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            item.problem(f"unknown weekday {text!r}", f"names are {', '.join(_DAYS)}, ranges like Mon-Fri")
            continue
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return tuple(sorted(days))
