"""Kustomizations to manifests: a kustomize-compatible engine over immutable trees. No I/O, no process, no network.

build(tree, path, options, cache)        what `kustomize build` gives
flux_build(tree, spec, ...)              what Flux's kustomize-controller would apply for a Kustomization
emit(rendered)                           the YAML text of either
printed(tree, path, options)             the YAML text of `build` and nothing else
Cache()                                  what a warm process keeps between builds
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.render.caching import Cache
    from penstock.render.engine import build, emit, printed
    from penstock.render.flux import flux_build
    from penstock.render.options import Options

__all__ = ["Cache", "Options", "build", "emit", "flux_build", "printed"]

_HOMES = {
    "Cache": "caching",
    "Options": "options",
    "build": "engine",
    "emit": "engine",
    "flux_build": "flux",
    "printed": "engine",
}


def __getattr__(name: str) -> Any:
    """Import the engine when it is first used, so that other commands start without it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
