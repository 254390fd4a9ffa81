"""Shell around the pure stages: when to run, retry and report. One manager per cluster; nothing heavy loads on import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.controllers.manager import Manager
    from penstock.controllers.options import Options
    from penstock.controllers.repositories import Mirrors, Repositories
    from penstock.ports.clock import Clock
    from penstock.ports.cluster import Cluster

__all__ = ["Manager", "Mirrors", "Options", "install", "run"]


def __getattr__(name: str) -> object:
    if name == "Manager":
        from penstock.controllers import manager

        return manager.Manager
    if name == "Options":
        from penstock.controllers import options

        return options.Options
    if name == "Mirrors":
        from penstock.controllers import repositories

        return repositories.Mirrors
    raise AttributeError(name)


async def install(cluster: Cluster, clock: Clock | None = None) -> None:
    """Put the CRDs and the flux-system namespace into a cluster."""
    from penstock.controllers import installing

    await installing.install(cluster, clock)


async def run(cluster: Cluster, *, repositories: Repositories, clock: Clock, options: Options | None = None) -> None:
    """Sync one cluster until cancelled."""
    from penstock.controllers.manager import Manager

    await Manager(cluster, repositories=repositories, clock=clock, options=options).run()
