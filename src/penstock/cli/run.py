"""`penstock run`: sync of one cluster in a pod, or sync and promotion of a whole fleet from one process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.model import errors

if TYPE_CHECKING:
    from penstock.app.operate import Settings
    from penstock.controllers.options import Options

FEATURE_GATES: dict[str, bool | None] = {
    "AdditiveCELDependencyCheck": None,
    "CancelHealthCheckOnNewRevision": True,
    "DisableConfigWatchers": None,
    "DisableFailFastBehavior": False,
    "DisableStatusPollerCache": True,
    "MigrateAPIVersion": False,
    "StrictPostBuildSubstitutions": True,
}
"""Flux's gates and what they are here for good (asking for the other is an error), or None where one may choose."""


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        from penstock.model import duration

        if isinstance(value, timedelta):
            return value
        try:
            return duration.parse(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a duration such as 30s or 5m", param, ctx)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags of Flux's controllers, under their names."""
    span = _Duration()
    for option in reversed(
        [
            click.option("--concurrent", default=16, show_default=True, help="Kustomizations built and applied at once."),
            click.option(
                "--requeue-dependency", type=span, default="30s", show_default=True, help="When to look at dependencies again."
            ),
            click.option("--interval-jitter-percentage", default=5, show_default=True, help="Spread of the intervals."),
            click.option("--min-retry-delay", type=span, default="750ms", show_default=True, help="First pause after an error."),
            click.option("--max-retry-delay", type=span, default="1m", show_default=True, help="Longest pause after errors."),
            click.option("--default-service-account", default="", help="Who acts for objects that name no account."),
            click.option("--no-cross-namespace-refs", is_flag=True, help="Refuse references to other namespaces."),
            click.option(
                "--sops-age-secret", default="", metavar="NAME", help="A Secret of the own namespace with age keys for all."
            ),
            click.option("--override-manager", multiple=True, metavar="NAME", help="Take over what this field manager set."),
            click.option(
                "--custom-apply-stage-kinds", default="", metavar="GROUP/KIND,...", help="Kinds to apply before the rest."
            ),
            click.option("--feature-gates", default="", metavar="NAME=BOOL,...", help="Flux's gates, as far as there are any."),
            click.option(
                "--watch-all-namespaces/--no-watch-all-namespaces", default=True, show_default=True, help="Or only the own one."
            ),
            click.option("--watch-label-selector", default="", help="Only objects with these labels: a shard."),
            click.option("--kube-api-qps", default=0.0, help="Requests a second to the API server.  [default: no limit]"),
            click.option("--kube-api-burst", default=300, show_default=True, help="Requests at once before that counts."),
            click.option("--storage-path", type=click.Path(path_type=Path), help="Folder of artifacts.  [default: temporary]"),
            click.option("--storage-addr", default="127.0.0.1:0", show_default=True, help="Where artifacts are served."),
            click.option("--storage-adv-addr", default="", help="Under which host and port they are announced."),
            click.option("--metrics-addr", default="", help="Serve /metrics there, as :8080.  [default: off]"),
            click.option("--health-addr", default="", help="Serve /healthz and /readyz there, as :9440.  [default: off]"),
            click.option("--receiver-addr", default="", help="Serve the Receivers' webhooks there, as :9292.  [default: off]"),
            click.option(
                "--log-level", type=click.Choice(["trace", "debug", "info", "error"]), default="info", show_default=True
            ),
            click.option(
                "--log-encoding", type=click.Choice(["json", "console"]), help="[default: console on a terminal, else json]"
            ),
            click.option(
                "--enable-leader-election/--no-enable-leader-election", default=None, help="[default: on, with --fleet off]"
            ),
            click.option("--leader-election-lease-duration", type=span, default="15s", show_default=True),
            click.option("--leader-election-renew-deadline", type=span, default="10s", show_default=True),
            click.option("--leader-election-retry-period", type=span, default="2s", show_default=True),
        ]
    ):
        command = option(command)
    return command


@click.command(
    "run",
    epilog="""\b
Examples:
  penstock run                                   in a pod: sync this cluster
  penstock run --context kind-dev                the same from a laptop
  penstock run --watch-label-selector sharding.fluxcd.io/key=shard1
  penstock run --fleet fleet.yaml                every cluster in it, and promotion between them
  penstock run --fleet fleet.yaml --no-sync      beside real Flux: only promotion
  penstock run --fleet fleet.yaml --web-addr 127.0.0.1:8080   the web page too
\b
Exit codes: 0 asked to stop; 1 a flag or file is wrong; 3 a port is taken, or there is no cluster to reach.""",
)
@click.option("--fleet", "path", type=click.Path(path_type=Path), help="Run for a whole fleet file.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="A kubeconfig.  [default: as kubectl, or the pod's account]")
@click.option("--context", help="The context in it.  [default: the current one]")
@click.option("--sync/--no-sync", default=True, show_default=True, help="Sync the clusters; --no-sync where Flux does.")
@click.option("--promote/--no-promote", default=True, show_default=True, help="With --fleet: promote between environments.")
@click.option("--sources/--no-sources", default=True, show_default=True, help="--no-sources leaves fetching to Flux.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder of Git mirrors.  [default: a temporary one]")
@click.option(
    "--web-addr",
    metavar="HOST:PORT",
    help="With --fleet: serve the web page there.  [default: web.address of the fleet file, else not at all]",
)
@_options
def command(path: Path | None, sync: bool, promote: bool, **flags: Any) -> None:
    """Sync one cluster, or sync and promote a whole fleet, until stopped."""
    from penstock.controllers import journal

    if path is not None and (flags["kubeconfig"] is not None or flags["context"] is not None):
        raise click.UsageError("--fleet names the clusters already; --kubeconfig and --context name another")
    if path is not None and flags["enable_leader_election"]:
        raise click.UsageError("--enable-leader-election is for one cluster: a fleet is run by one process")
    if path is None and flags["web_addr"]:
        raise click.UsageError("--web-addr is for a fleet: the page shows all its clusters")
    if path is None and not sync:
        raise click.UsageError("--no-sync leaves nothing to do without --fleet")
    for_eyes = flags["log_encoding"] == "console" or (flags["log_encoding"] is None and sys.stderr.isatty())
    journal.to(level=flags["log_level"], encoding="console" if for_eyes else "json")
    options = _manager_options(flags, alone=path is None)
    asyncio.run(_fleet(path, options, sync, promote, flags) if path is not None else _cluster(options, flags))


def _manager_options(flags: dict[str, Any], *, alone: bool) -> Options:
    from penstock.app import operate
    from penstock.controllers import endpoints, shards
    from penstock.controllers.options import Options

    shards.parse(flags["watch_label_selector"])
    gates = feature_gates(flags["feature_gates"])
    host, port = endpoints.address(flags["storage_addr"]) or ("127.0.0.1", 0)
    if flags["concurrent"] < 1 or not 0 <= flags["interval_jitter_percentage"] < 100:
        raise click.UsageError("--concurrent starts at 1, --interval-jitter-percentage is below 100")
    return Options(
        namespace="" if flags["watch_all_namespaces"] or not alone else operate.runtime_namespace(),
        label_selector=flags["watch_label_selector"],
        sources=flags["sources"],
        concurrent=flags["concurrent"],
        interval_jitter=flags["interval_jitter_percentage"] / 100,
        min_retry_delay=flags["min_retry_delay"],
        max_retry_delay=flags["max_retry_delay"],
        requeue_dependency=flags["requeue_dependency"],
        override_managers=tuple(flags["override_manager"]),
        custom_stage_kinds=tuple(_kinds(flags["custom_apply_stage_kinds"])),
        additive_ready_expr=gates.get("AdditiveCELDependencyCheck", False),
        watch_configs=not gates.get("DisableConfigWatchers", False),
        default_service_account=flags["default_service_account"],
        sops_age_secret=flags["sops_age_secret"],
        no_cross_namespace_refs=flags["no_cross_namespace_refs"],
        artifacts=flags["storage_path"],
        artifact_host=host,
        artifact_port=port,
        artifact_advertise=flags["storage_adv_addr"],
    )


def _kinds(text: str) -> Iterator[tuple[str, str]]:
    """'rbac.authorization.k8s.io/Role,Secret' as groups and kinds."""
    for part in filter(None, (part.strip() for part in text.split(","))):
        group, _, kind = part.rpartition("/")
        if not kind or "/" in group:
            raise click.UsageError(f"--custom-apply-stage-kinds takes GROUP/KIND, not {part!r}")
        yield group, kind


def feature_gates(text: str) -> dict[str, bool]:
    """'GroupChangeLog=true,...'. Raises InputError for a gate that is not known, or that asks for what is not done here."""
    found: dict[str, bool] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name not in FEATURE_GATES:
            raise errors.invalid(f"feature-gate {name!r} not supported", f"known: {', '.join(FEATURE_GATES)}", code="FeatureGate")
        if value.lower() not in ("true", "false"):
            raise errors.invalid(f"feature-gate {name} takes true or false", code="FeatureGate")
        found[name] = value.lower() == "true"
        if FEATURE_GATES[name] not in (None, found[name]):
            what = f"feature-gate {name} is always {str(FEATURE_GATES[name]).lower()} here"
            raise errors.invalid(what, hint="leave it out", code="FeatureGate")
    return found


async def _cluster(options: Options, flags: dict[str, Any]) -> None:
    from penstock.app import operate

    def started(urls: dict[str, str]) -> None:
        served = "".join(f", {name} at {url}" for name, url in urls.items())
        click.echo(f"running{served}; Ctrl-C stops it", err=True)

    with _cache(flags["cache"]) as cache:
        await operate.operate(_settings(options, flags, cache), _asked_to_stop(), started)


@contextlib.contextmanager
def _cache(folder: Path | None) -> Iterator[Path]:
    import tempfile

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="penstock-") as made:
        yield Path(made)


def _settings(options: Options, flags: dict[str, Any], cache: Path) -> Settings:
    from penstock.app.operate import Settings
    from penstock.controllers.leadership import Timing

    timing = Timing(
        lease=flags["leader_election_lease_duration"],
        renew_deadline=flags["leader_election_renew_deadline"],
        retry=flags["leader_election_retry_period"],
    )
    if not timing.retry < timing.renew_deadline < timing.lease:
        raise click.UsageError("the retry period has to be below the renew deadline, and that below the lease duration")
    return Settings(
        kubeconfig=flags["kubeconfig"],
        context=flags["context"],
        options=options,
        cache=cache,
        elect=flags["enable_leader_election"] is not False,
        timing=timing,
        metrics=flags["metrics_addr"],
        health=flags["health_addr"],
        receivers=flags["receiver_addr"],
        requests_per_second=flags["kube_api_qps"],
        burst=flags["kube_api_burst"],
    )


def _asked_to_stop() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _fleet(path: Path, options: Options, sync: bool, promote: bool, flags: dict[str, Any]) -> None:
    from penstock.app import fleet, world
    from penstock.controllers import endpoints
    from penstock.controllers.metrics import Exposition
    from penstock.web import hosting

    stop = _asked_to_stop()
    exposition = Exposition()
    async with (
        world.open_fleet(world.read(path)) as opened,
        fleet.running(opened, sync=sync, promote=promote, options=options) as running,
        contextlib.AsyncExitStack() as stack,
    ):
        exposition.managers = {str(name): manager for name, manager in running.managers.items()}
        exposition.told = running.told
        watched = endpoints.Watched(
            collectors=(exposition,),
            stuck=lambda: [f"{name}: {what}" for name, each in running.managers.items() for what in each.stuck()],
            unready=list,
        )
        served = endpoints.serve(watched, metrics=flags["metrics_addr"], health=flags["health_addr"])
        urls = await stack.enter_async_context(served)
        names = ", ".join(str(name) for name in opened.clusters)
        where = "".join(f", {name} at {url}" for name, url in urls.items())
        click.echo(f"running for {names}{where}; Ctrl-C stops it")
        for environment, problem in opened.cluster_problems.items():
            click.secho(f"{environment}: {problem}", fg="red", err=True)
        page = await stack.enter_async_context(hosting.host(opened, flags["web_addr"]))
        if page is not None:
            click.echo(f"web page: {page.sign_in_url}")
        await stop.wait()


__all__: Sequence[str] = ("command", "feature_gates")
