"""The built wheel in an environment that holds what it declares and nothing else: the command, its manual, and the whole story,
told with its trace to a collector.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def declared(wheel: str, extras: set[str]) -> set[str]:
    """The distributions that an installer would put beside it: what it requires, and what that requires."""
    found: set[str] = set()
    todo = [(wheel, extras)]
    while todo:
        name, wanted = todo.pop()
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in wanted | {""}):
                key = requirement.name.lower().replace("_", "-")
                if key not in found:
                    found.add(key)
                    todo.append((requirement.name, set(requirement.extras)))
    return found


@dataclass
class Installed:
    """An environment with the package in it."""

    folder: Path

    @property
    def command(self) -> str:
        return str(self.folder / "bin" / "penstock")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("package")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (wheel,) = folder.glob("penstock-*.whl")
    venv.create(folder / "venv", with_pip=False)
    subprocess.run([*pip, "--python", str(folder / "venv"), "install", "--no-deps", "--no-index", str(wheel)], check=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    for name in declared("penstock", {"tracing"}):
        _link(name, site)
    return Installed(folder / "venv")


def _link(name: str, site: Path) -> None:
    """The files of one distribution of this environment, in the other one."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return  # For another system or Python: an installer here would leave it out too.
    for file in distribution.files or ():
        top = Path(str(file)).parts[0]
        source = Path(str(distribution.locate_file(top)))
        if top == ".." or top == "__pycache__":
            continue
        if source.is_dir() and (source / "__init__.py").exists() is False and source.suffix != ".dist-info":
            # A namespace is shared by several distributions (opentelemetry, google): its files one by one.
            target, origin = site / str(file), Path(str(distribution.locate_file(file)))
            if origin.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(origin)
        elif not (site / top).exists():
            (site / top).symlink_to(source)


def test_the_command_starts_and_knows_its_version(installed: Installed) -> None:
    done = subprocess.run([installed.command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("penstock, version ")


def test_manual_and_completions_are_where_a_system_looks_for_them(installed: Installed) -> None:
    share = installed.folder / "share"
    for name in (
        "man/man1/penstock.1",
        "bash-completion/completions/penstock",
        "zsh/site-functions/_penstock",
        "fish/vendor_completions.d/penstock.fish",
    ):
        assert (share / name).is_file(), name


def test_files_that_are_no_modules_came_along(installed: Installed) -> None:
    done = subprocess.run(
        [installed.command, "install", "--export"], capture_output=True, text=True, check=True, cwd=installed.folder
    )
    assert "kustomizations.kustomize.toolkit.fluxcd.io" in done.stdout
    (site,) = (installed.folder / "lib").glob("python*/site-packages")
    tracked = subprocess.run(["git", "ls-files", "src/penstock"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    missing = [name for name in tracked.split() if not (site / name.removeprefix("src/")).is_file()]
    assert missing == []


@dataclass
class Collector:
    """An OTLP receiver that keeps what it was sent."""

    url: str = ""
    spans: list[Any] = field(default_factory=list)


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found.spans += scope.spans
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_demo_runs_from_the_wheel_and_its_change_is_one_trace(
    installed: Installed, collector: Collector, tmp_path: Path
) -> None:
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "PYTHONPATH": ""}
    done = subprocess.run(
        [installed.command, "demo", "--state", str(tmp_path / "sandbox")],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "went through 3 environments" in done.stdout

    (whole,) = [span for span in collector.spans if span.name == "change web"]
    trace = [span for span in collector.spans if span.trace_id == whole.trace_id]
    assert {span.name for span in trace} == {
        "change web",
        "sync dev",
        "promote dev -> staging",
        "sync staging",
        "promote staging -> prod",
        "sync prod",
    }
    children = {span.name: span.parent_span_id.hex() for span in trace if span.name != "change web"}
    assert set(children.values()) == {whole.span_id.hex()}, children
    assert len({span.span_id for span in trace}) == len(trace) == 6, "each stage once"
    by_name = {span.name: span for span in trace}
    order = ["sync dev", "promote dev -> staging", "sync staging", "promote staging -> prod", "sync prod"]
    ends = [by_name[name].end_time_unix_nano for name in order]
    assert ends == sorted(ends)
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano <= whole.end_time_unix_nano for span in trace)
    attributes = {one.key: one.value.string_value for one in by_name["promote staging -> prod"].attributes}
    assert (attributes["penstock.environment"], attributes["penstock.unit"]) == ("prod", "web")
    assert len(attributes["vcs.ref.head.revision"]) == 40

    mirror = next((tmp_path / "sandbox").rglob("fleet.git"))
    message = subprocess.run(
        ["git", "-C", str(mirror), "log", "-1", "--format=%B", attributes["vcs.ref.head.revision"]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"Penstock-Trace: 00-{whole.trace_id.hex()}-{whole.span_id.hex()}-01" in message
