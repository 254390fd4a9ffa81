"""`penstock up`: the ordinary git and kubectl work against it, and a SIGKILL loses nothing that was acknowledged."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 60.0


@contextmanager
def _up(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A running `penstock up`, killed at the end if the test has not ended it."""
    log = (folder / "up.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "up"], cwd=folder, stdout=log, stderr=subprocess.STDOUT, text=True, process_group=0
    )
    try:
        _until("it says it is up", lambda: "Ctrl-C stops it" in (folder / "up.log").read_text() or _ended(process, folder))
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def _ended(process: subprocess.Popen[str], folder: Path) -> bool:
    assert process.poll() is None, (folder / "up.log").read_text()
    return False


def _until(what: str, look: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS:.0f} s: {what}"
        time.sleep(0.1)


def _git(*arguments: str | Path) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def _kubectl(folder: Path, context: str, *arguments: str) -> str:
    done = subprocess.run(
        ["kubectl", "--kubeconfig", folder / ".penstock/sandbox/kubeconfig", "--context", context, *arguments],
        capture_output=True,
        text=True,
    )
    return done.stdout if done.returncode == 0 else f"FAILED {done.stderr}"


def _replicas(folder: Path, context: str) -> str:
    return _kubectl(folder, context, "get", "deploy", "web", "-n", "shop", "-o", "jsonpath={.spec.replicas}")


def _penstock(folder: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "penstock", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _commit(clone: Path, message: str) -> str:
    _git("-C", clone, "-c", "user.name=Dana", "-c", "user.email=dana@shop.example", "commit", "--all", "--message", message)
    _git("-C", clone, "push", "origin", "HEAD")
    return _git("-C", clone, "rev-parse", "HEAD")


def test_git_and_kubectl_of_the_machine_work_and_a_kill_loses_nothing(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    with _up(tmp_path) as process:
        _until("prod is synced", lambda: _replicas(tmp_path, "prod") == "3")
        _git("clone", (tmp_path / ".penstock/sandbox/clone-url").read_text().strip(), clone)
        assert "web" in _kubectl(tmp_path, "dev", "get", "deploy,svc,cm,ing,cronjob", "-n", "shop")

        # A file removed from Git is pruned, in dev only.
        kustomization = clone / "clusters/dev/apps/kustomization.yaml"
        kustomization.write_text(kustomization.read_text().replace("- report\n", ""))
        _git("-C", clone, "rm", "-r", "--quiet", "clusters/dev/apps/report")
        removed = _commit(clone, "no report in dev")
        _until("report is pruned", lambda: "NotFound" in _kubectl(tmp_path, "dev", "get", "cronjob", "report", "-n", "shop"))
        assert "report" in _kubectl(tmp_path, "staging", "get", "cronjob", "-n", "shop")

        # Acknowledged, then killed at once: a push, and an object written by hand.
        config = clone / "clusters/dev/apps/web/config.yaml"
        config.write_text(config.read_text().replace("10s", "25s"))
        pushed = _commit(clone, "longer timeout")
        (tmp_path / "by-hand.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: by-hand\n  namespace: shop\n")
        assert "created" in _kubectl(tmp_path, "staging", "create", "-f", str(tmp_path / "by-hand.yaml"))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    with _up(tmp_path):
        assert _git("-C", clone, "ls-remote", "origin", "refs/heads/main").split()[0] == pushed
        assert _git("-C", clone, "merge-base", "--is-ancestor", removed, pushed) == ""
        assert "by-hand" in _kubectl(tmp_path, "staging", "get", "configmap", "-n", "shop")
        timeout = ("get", "cm", "web", "-n", "shop", "-o", "jsonpath={.data.checkout_timeout}")
        _until("the push is synced after the restart", lambda: _kubectl(tmp_path, "dev", *timeout) == "25s")
        _until("the promotion is proposed", lambda: "PR #" in _penstock(tmp_path, "status"))
        assert _replicas(tmp_path, "staging") == "2"


def test_drift_is_undone_and_an_invalid_commit_changes_nothing_and_says_why(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    with _up(tmp_path):
        _until("dev is synced", lambda: _replicas(tmp_path, "dev") == "1")
        assert "scaled" in _kubectl(tmp_path, "dev", "scale", "deploy", "web", "-n", "shop", "--replicas=7")
        _until("the drift is undone", lambda: _replicas(tmp_path, "dev") == "1")

        _git("clone", (tmp_path / ".penstock/sandbox/clone-url").read_text().strip(), clone)
        deployment = clone / "clusters/dev/apps/web/deployment.yaml"
        deployment.write_text(deployment.read_text().replace("1.4.2", "1.6.0").replace("spec:\n", "spec:\n\t", 1))
        _commit(clone, "broken")

        def message() -> str:
            ready = '{.status.conditions[?(@.type=="Ready")].message}'
            return _kubectl(tmp_path, "dev", "get", "ks", "dev", "-n", "flux-system", "-o", f"jsonpath={ready}")

        _until("the status says why", lambda: "clusters/dev/apps/web/deployment.yaml:" in message())
        image = ("get", "deploy", "web", "-n", "shop", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
        assert _kubectl(tmp_path, "dev", *image) == "registry.example/shop/web:1.4.2"


def test_two_sandboxes_do_not_share_a_folder(tmp_path: Path) -> None:
    with _up(tmp_path):
        second = subprocess.run(
            [sys.executable, "-m", "penstock", "up"], cwd=tmp_path, capture_output=True, text=True, timeout=30
        )
        assert second.returncode == 1
        assert re.search(r"a sandbox runs on .* already \(process \d+\)", second.stderr)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "penstock", "up", "--port", str(port)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 3
    assert f"port {port} on 127.0.0.1 is not free" in done.stderr
    assert "hint:" in done.stderr


def test_a_wrong_token_is_refused_everywhere(tmp_path: Path) -> None:
    with _up(tmp_path):
        url = (tmp_path / ".penstock/sandbox/clone-url").read_text().strip()
        wrong = re.sub(r"://[^@]+@", "://developer:wrong@", url)
        clone = subprocess.run(
            ["git", "clone", wrong, tmp_path / "x"], capture_output=True, text=True, env=os.environ | {"GIT_TERMINAL_PROMPT": "0"}
        )
        assert clone.returncode != 0
        kubeconfig = json.loads((tmp_path / ".penstock/sandbox/kubeconfig").read_text())
        kubeconfig["users"][0]["user"]["token"] = "wrong"
        (tmp_path / "wrong").write_text(json.dumps(kubeconfig))
        get = subprocess.run(["kubectl", "--kubeconfig", tmp_path / "wrong", "get", "ns"], capture_output=True, text=True)
        assert "You must be logged in to the server" in get.stderr
        (tmp_path / ".penstock/sandbox/token").write_text("wrong\n")
        status = subprocess.run(
            [sys.executable, "-m", "penstock", "status"], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert status.returncode == 3
        assert "wrong" not in status.stderr
        assert "hint:" in status.stderr
