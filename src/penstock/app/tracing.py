"""Traces of changes, where somebody asked for them. In: an open world, the environment. Out: stages that watch a controller.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set; then nothing of it is even imported.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.app.world import World
    from penstock.controllers.promotion import Controller
    from penstock.controllers.promotion_tracing import Stages

_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def wanted() -> bool:
    """Whether the environment asks for traces, in OpenTelemetry's words."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not off and any(os.environ.get(name) for name in _VARIABLES)


@contextlib.contextmanager
def stages(world: World, controller: Controller) -> Iterator[Stages | None]:
    """The stages of this controller's changes, not running yet; None where nobody asked."""
    if not wanted():
        yield None
        return
    from penstock.adapters import tracing
    from penstock.controllers.promotion_tracing import Stages

    name = world.fleet.repository.url.rstrip("/").rpartition("/")[2].removesuffix(".git")
    with tracing.otlp(name) as tracer:
        controller.traced = True
        yield Stages(repo=world.repo, history=controller.surveyor.history, tracer=tracer)
