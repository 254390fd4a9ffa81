"""Run a fleet: sync of every environment, promotion between them, and the web page, until told to stop.

In: an open world. Out: nothing but effects. Each environment's sync is a task of its own: one dead cluster keeps nobody
else waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock.app import sandbox as sandboxes
from penstock.app import world as worlds
from penstock.model import errors
from penstock.ports.forge import Forge


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A sandbox fleet that runs."""

    box: sandboxes.Sandbox
    world: worlds.World
    reviewer: Forge
    """The forge as the reviewer sees it."""
    began: float
    """Monotonic seconds when the start began."""


def set_aside(folder: Path) -> Path | None:
    """Move an earlier sandbox out of the way, so that a story begins anew and nothing is lost; where it is now."""
    if not folder.exists() or not any(folder.iterdir()):
        return None
    if not (folder / worlds.FILE_NAME).exists():
        raise errors.invalid(f"{folder} holds something else than a sandbox", hint="choose another --state", code="NotASandbox")
    with sandboxes.lock(folder):
        number = 1
        while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
            number += 1
        folder.rename(aside)
    return aside
