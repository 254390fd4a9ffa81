"""One process at a time in a mirror's folder, and no leftovers of one that was killed. In: a folder. Out: a turn.

A git that is killed leaves its lock files behind, and git then refuses to touch these refs for ever. Whoever holds our
own lock (released by the kernel with its process, however that ends) knows that every lock file of git's is a leftover.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from penstock.model.errors import TransientError

_POLL_SECONDS = 0.02
_PACK_AGE_SECONDS = 3600.0


@asynccontextmanager
async def turn(folder: Path, seconds: float) -> AsyncIterator[None]:
    """Wait for the folder to be ours. Raises TransientError(code='MirrorBusy') when it is not within `seconds`."""
    # Beside the folder, so that it stays when a damaged folder is put aside.
    descriptor = os.open(folder.with_name(f"{folder.name}.turn"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await _acquire(descriptor, folder, seconds)
        _sweep(folder)
        yield
    finally:
        os.close(descriptor)  # and with it the lock


async def _acquire(descriptor: int, folder: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TransientError(f"another process has been using {folder} for {seconds:g} s", code="MirrorBusy") from None
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return


def _sweep(folder: Path) -> None:
    """Remove what a killed git left: locks at the top and below refs, and half-written packs that are old."""
    locks = [*folder.glob("*.lock"), *(folder / "refs").rglob("*.lock")]
    old = time.time() - _PACK_AGE_SECONDS
    packs = [path for path in (folder / "objects" / "pack").glob("tmp_*") if path.stat().st_mtime < old]
    for path in (*locks, *packs):
        with suppress(OSError):
            path.unlink()
