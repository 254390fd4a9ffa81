"""A Git server and forge in one process, for trying things out. In: a state folder. Out: a URL that git and browsers use.

    async with forge.serve(state) as server:
        await server.create_repo("fleet", owner="platform")
        server.clone_url("fleet", user="developer")     # git clone, push
        server.url, server.token("penstock")            # Gitea's REST API v1, a subset

Honest label: a sandbox. Loopback only, a handful of users, everything in one folder that may be deleted. What it has is
real all the same: pushes are acknowledged when they are on disk, merges happen in the object database at the exact
commit that was asked for, and the default branch's rule about approvals is kept. What it lacks answers 501.

Parts: `store` (SQLite rows), `repositories` (bare repositories, merges), `smart_http` (git's protocol), `shapes`, `asking`
and `api*` (Gitea's JSON), `pages` (for people), `hooks` (events out), `server` (all of it behind one port).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.sandbox.forge.server import Server, serve
    from penstock.sandbox.forge.smart_http import Push

__all__ = ["Push", "Server", "serve"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{'smart_http' if name == 'Push' else 'server'}"), name)
