"""How one manager works. In: nothing. Out: a value whose defaults are Flux's, or safe where Flux's are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from penstock.controllers import building
from penstock.controllers.hooks import Hooks
from penstock.controllers.specs import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one manager works; the defaults are Flux's, or safe where Flux's are not."""

    namespace: str = ""
    """Only objects of this namespace; '' for all."""
    label_selector: str = ""
    """Work only on GitRepositories and Kustomizations with these labels (shards); all others are read."""
    sources: bool = True
    """Reconcile GitRepositories too; False leaves them to Flux's source-controller and reads its artifacts."""
    concurrent: int = 16
    """Kustomizations being built and applied at once; waiting for health takes no place."""
    interval_jitter: float = 0.05
    min_retry_delay: timedelta = timedelta(milliseconds=750)
    max_retry_delay: timedelta = timedelta(seconds=60)
    """The first and the longest pause after a pass that ended in an error, doubled each time."""
    requeue_dependency: timedelta = timedelta(seconds=30)
    """When to look again at a dependency or source that is not ready: the net under waking by event."""
    override_managers: tuple[str, ...] = ()
    """Field managers whose fields are taken over, beside those that Flux always takes over."""
    custom_stage_kinds: tuple[tuple[str, str], ...] = ()
    """Kinds (group, kind) applied in a stage of their own before the rest."""
    pass_slack: timedelta = timedelta(minutes=5)
    """How much longer than its object's timeouts a pass may take before it counts as stuck."""
    default_service_account: str = ""
    no_cross_namespace_refs: bool = False
    additive_ready_expr: bool = False
    """Flux's gate AdditiveCELDependencyCheck: a readyExpr comes on top of the built-in check."""
    sops_age_secret: Key | None = None
    """Namespace and name of a Secret with age keys for Kustomizations that name none (Flux's --sops-age-secret)."""
    watch_configs: bool = True
    """Wake Kustomizations when a ConfigMap or Secret they use and that is labelled for it changes."""
    prune_guard: bool = True
    artifacts: Path | None = None
    """Folder of the archives; None for one that goes with the process."""
    artifact_host: str | None = "127.0.0.1"
    """None listens on every interface."""
    artifact_port: int = 0
    hooks: Hooks | None = field(default=None, repr=False)
    """Where the Receivers of this cluster listen; None where nothing serves webhooks."""
    artifact_advertise: str = ""
    """Host (and port) under which the archives are reached, where that is another."""
    build: building.Build | None = field(default=None, repr=False)
    """The render engine; None for penstock.render."""
