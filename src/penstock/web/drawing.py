"""Values to HTML: the templates, their filters, and the pieces that are sent again when they change.

In: views and the time. Out: text. Everything is escaped by Jinja2; filters take what a person may have written and make one
visible line of it, so that no name reorders or hides what stands beside it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from penstock.ports.clock import Clock
from penstock.promote import gates, text
from penstock.web import diffing, views

STATIC = {"style.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
_FOLDER = "templates"
_VALUE = 2000


@cache
def static(name: str) -> bytes:
    """A file the browser asks for. Raises KeyError for anything that is not listed."""
    STATIC[name]
    return (resources.files(__package__) / _FOLDER / name).read_bytes()


@cache
def static_url(name: str) -> str:
    """With a digest in it, so that it may be kept by the browser and never be old."""
    return f"/-/{hashlib.sha256(static(name)).hexdigest()[:12]}/{name}"


def age(moment: datetime, now: datetime) -> str:
    """'11 min', '3 d': one unit is enough to look at, the full moment is in the title."""
    number, unit = gates.span(abs(now - moment)).split(" ")[:2]
    return f"{number} {unit}"


def plain(value: object) -> str:
    """One visible line."""
    shown = str(value)
    # A board has ten thousand texts, nearly all of them plain already.
    return " ".join(shown.split()) if shown.isprintable() else text.clean(shown)


def lines(shown: object) -> str:
    """Text as it stands, without what cannot be seen."""
    return "".join(char for char in str(shown) if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co"))


def value(shown: object) -> str:
    """A field's value: its lines are kept, and it ends somewhere."""
    whole = lines(shown)
    return whole if len(whole) <= _VALUE else whole[: _VALUE - 1] + "…"


def segment(name: object) -> str:
    """A name as one segment of a path."""
    return quote(str(name), safe="")


def link(url: str) -> str:
    """The address if it leads to the web, else ''; a forge's answer is not to be trusted with javascript:."""
    cleaned = url.strip()
    return cleaned if re.match(r"https?://[^\s\x00-\x1f]+\Z", cleaned, re.IGNORECASE) else ""


@dataclass(slots=True, kw_only=True)
class Drawing:
    """The templates."""

    clock: Clock
    environment: jinja2.Environment = field(init=False)

    def __post_init__(self) -> None:
        loader = jinja2.FunctionLoader(_load)
        made = jinja2.Environment(
            loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        made.filters |= {"plain": plain, "lines": lines, "value": value, "segment": segment, "link": link}
        made.filters["since"] = self.since
        made.filters["until"] = self.until
        made.globals |= {"MARKS": views.MARKS, "static_url": static_url, "sides": diffing.sides}
        self.environment = made

    def page(self, template: str, **facts: Any) -> str:
        """A whole page."""
        return self.environment.get_template(template).render(**facts)

    def part(self, template: str, key: str, value: object, csrf: str) -> str:
        """One part of a page, as the page itself draws it: by the macro named as the key begins."""
        module: Any = self.environment.get_template(template).module
        return str(getattr(module, key.partition("/")[0])(key, value, csrf)).strip()

    def since(self, moment: datetime | None) -> Markup:
        """How long ago, as an element that goes on counting."""
        return self._time(moment, "since", "")

    def until(self, moment: datetime | None) -> Markup:
        """How long until then, likewise."""
        return self._time(moment, "until", "in ")

    def _time(self, moment: datetime | None, kind: str, before: str) -> Markup:
        if moment is None:
            return Markup("")
        exact, now = moment.astimezone(UTC), self.clock.now()
        over = kind == "until" and exact <= now + timedelta(seconds=1)
        shown = "now" if over else before + age(exact, now)
        return Markup('<time datetime="{}" title="{}" data-{}>{}</time>').format(
            exact.strftime("%Y-%m-%dT%H:%M:%SZ"), exact.strftime("%Y-%m-%d %H:%M:%S UTC"), kind, shown
        )


def _load(name: str) -> str:
    return (resources.files(__package__) / _FOLDER / name).read_text()
