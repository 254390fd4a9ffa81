"""What every test may use: the shared cases, real servers, and the closing words about the tier on real parts."""

from __future__ import annotations

import asyncio
import collections
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from penstock.adapters import parts
from penstock.adapters.forge import local_gitea
from penstock.adapters.kube import local

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


# How long an example takes depends on what else runs on the machine: only the outcome counts.
hypothesis.settings.register_profile(
    "penstock", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("penstock")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared cases beside the project; tests that judge by them say so when it is not there."""
    if not SHARED.is_dir():
        pytest.skip(f"NOT RUN: no shared cases at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def real_apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local.LocalApiServer]:
    """A real kube-apiserver with etcd, one for the whole run; tests keep apart by namespaces of their own."""
    if absent := local.missing():
        pytest.skip(f"NOT RUN on the real API server: no {' and no '.join(absent)} (make parts builds them, with Go)")
    folder = tmp_path_factory.mktemp("apiserver")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="real-apiserver")
    thread.start()
    server = local.run(folder, audit=True)
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(120)
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="session")
def real_gitea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_gitea.LocalGitea]:
    """A real Gitea, one for the whole run; tests keep apart by repositories of their own."""
    if absent := local_gitea.missing():
        pytest.skip(f"NOT RUN on a real Gitea: {absent}")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="real-gitea")
    thread.start()
    server = local_gitea.run(tmp_path_factory.mktemp("gitea"), teams={"platform": {"web": ["reviewer", "developer"]}})
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(120)
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="session")
def sshd_binary() -> Path:
    """The real sshd to fetch through."""
    path = parts.find("sshd")
    if path is None:
        pytest.skip("NOT RUN through a real sshd: it is not installed (make parts installs Debian's openssh-server, as root)")
    return path


@pytest.fixture(scope="session")
def kustomize_binary() -> Path:
    """The real kustomize to compare with."""
    path = parts.find("kustomize")
    if path is None:
        pytest.skip("NOT RUN against the real kustomize: it is not built (make parts builds it, with Go)")
    return path


_REAL_PARTS = {
    "real_apiserver": "kube-apiserver + etcd",
    "real_parts": "kube-apiserver + etcd",
    "kustomize_binary": "kustomize",
    "real_gitea": "Gitea",
    "sshd_binary": "sshd",
    "chromium": "Chromium",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a real part is marked so, and remembers which."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _REAL_PARTS:
                item.add_marker(pytest.mark.real)
                item.user_properties.append(("real part", _REAL_PARTS[fixture]))


def pytest_unconfigure(config: pytest.Config) -> None:
    """The very last lines say what ran on real parts, and loudly what did not."""
    reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    ran, missed, why = _real_parts_of(reporter)
    for part, count in sorted(ran.items()):
        reporter.write_line(f"real tier: ran {count} tests on real {part}", green=True)
    for part, count in sorted(missed.items()):
        reporter.write_line(f"real tier: NOT RUN: {count} tests on real {part}: {why.get(part, '')}", red=True, bold=True)


def _real_parts_of(
    reporter: pytest.TerminalReporter,
) -> tuple[collections.Counter[str], collections.Counter[str], dict[str, str]]:
    ran: collections.Counter[str] = collections.Counter()
    missed: collections.Counter[str] = collections.Counter()
    why: dict[str, str] = {}
    for outcome, counter in (("passed", ran), ("failed", ran), ("skipped", missed)):
        for report in reporter.stats.get(outcome, []):
            for key, part in getattr(report, "user_properties", ()):
                if key == "real part":
                    counter[part] += 1
                    if counter is missed and isinstance(report.longrepr, tuple):
                        why[part] = report.longrepr[2]
    return ran, missed, why


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where the real tier is required (CI), a skipped test on real parts is a failure."""
    if not os.environ.get("PENSTOCK_REQUIRE_REAL") or exitstatus != 0 or hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if any(key == "real part" for report in skipped for key, _ in getattr(report, "user_properties", ())):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
