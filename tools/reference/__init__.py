"""The reference that is made from the code. In: the package. Out: pages by path; the same code gives the same bytes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tools.reference import codes, commands, fields, metrics, names

ROOT = Path(__file__).resolve().parents[2]
NOTE = "<!-- Made from the code by `make reference`. Edit the code. -->\n\n"


@cache
def pages() -> dict[Path, str]:
    """Every page with its text."""
    docs = ROOT / "docs" / "reference"
    made = {
        docs / "cli.md": commands.page(),
        docs / "errors.md": codes.page(),
        docs / "pipeline-fields.md": fields.page(),
        docs / "conditions.md": names.conditions_page(),
        docs / "names.md": names.page(),
        docs / "metrics.md": metrics.page(),
    }
    result = {path: NOTE + text for path, text in made.items()}
    result[ROOT / "share" / "man" / "man1" / "penstock.1"] = commands.man()
    result |= {ROOT / "share" / path: text for path, text in commands.completions().items()}
    return result
