"""Run the steps of the Containerfile without a container engine, on Debian roots made by debootstrap.

In: the Containerfile. Out: whether its steps work, how big what they leave is, and whether that starts as the unprivileged
user on a read-only root. Needs root, debootstrap, and what the steps themselves fetch: Debian's and Python's packages, from
where this machine fetches them. It proves the steps, not the image: no engine has built it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_DEBIAN = re.compile(r"debian:(\w+)-slim")


@dataclass
class Stage:
    """One FROM: its steps in order, and what they set."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def main() -> int:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print("NOT PROVEN: this needs root and debootstrap (apt-get install debootstrap)", file=sys.stderr)
        return 3
    stages = parse((ROOT / "Containerfile").read_text())
    with tempfile.TemporaryDirectory(prefix="image-proof-") as folder:
        return prove(stages, Path(folder))


def parse(text: str) -> list[Stage]:
    """The stages of a Containerfile of FROM, RUN, COPY, ENV, WORKDIR, USER, ENTRYPOINT and CMD."""
    stages: list[Stage] = []
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name.strip()))
        elif word:
            stages[-1].steps.append((word, rest.strip()))
    return stages


def prove(stages: list[Stage], folder: Path) -> int:
    roots: dict[str, Path] = {}
    base = folder / "base"
    found = _DEBIAN.fullmatch(stages[0].base.strip())
    assert found, f"not a base that debootstrap makes: {stages[0].base}"
    print(f"== debootstrap {found[1]}", flush=True)
    run(["debootstrap", "--variant=minbase", found[1], str(base), *mirror()])
    for stage in stages:
        root = folder / (stage.name or "image")
        run(["cp", "-a", str(base), str(root)])
        roots[stage.name] = root
        last = build(stage, root, roots)
    shutil.rmtree(base)
    return start(root, last)


def mirror() -> list[str]:
    """Where this machine has Debian's packages from; debootstrap's own default otherwise."""
    for path in (*Path("/etc/apt/sources.list.d").glob("*.sources"), Path("/etc/apt/sources.list")):
        text = path.read_text() if path.exists() else ""
        if found := re.search(r"(https?://\S+/debian)/?(\s|$)", text):
            return [found[1]]
    return []


def build(stage: Stage, root: Path, roots: dict[str, Path]) -> dict[str, str]:
    """Run the steps in the root; the configuration that they leave."""
    state = {"WORKDIR": "/", "USER": "0:0", "ENTRYPOINT": "", "CMD": "", "ENV": ""}
    lend(root)
    for word, rest in stage.steps:
        print(f"== {word} {rest}", flush=True)
        if word == "RUN":
            inside(root, f"cd {state['WORKDIR']} && {rest}", state)
        elif word == "COPY":
            copy(rest, root / state["WORKDIR"].lstrip("/"), root, roots)
        elif word in state:
            state[word] = f"{state['ENV']} {rest}".strip() if word == "ENV" else rest
            if word == "WORKDIR":
                (root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        else:
            raise SystemExit(f"a step this proof does not know: {word}")
    for name in ("etc/resolv.conf", "etc/pip.conf"):
        (root / name).unlink(missing_ok=True)
    return state


def lend(root: Path) -> None:
    """What this machine knows of the way to packages; taken away again."""
    for name in ("etc/resolv.conf", "etc/pip.conf", "etc/hosts"):
        if (source := Path("/") / name).exists():
            shutil.copyfile(source, root / name)
    for each in Path("/etc/apt/apt.conf.d").glob("*proxy*"):
        shutil.copyfile(each, root / "etc/apt/apt.conf.d" / each.name)
    for certificates in ("usr/local/share/ca-certificates", "etc/ssl/certs"):
        if (Path("/") / certificates).is_dir():
            shutil.copytree(Path("/") / certificates, root / certificates, dirs_exist_ok=True, ignore_dangling_symlinks=True)


def copy(rest: str, here: Path, root: Path, roots: dict[str, Path]) -> None:
    words = shlex.split(rest)
    source = ROOT
    if words[0].startswith("--from="):
        source = roots[words.pop(0).removeprefix("--from=")]
    *names, target = words
    where = root / target.lstrip("/") if target.startswith("/") else here / target
    for name in names:
        path = source / name.lstrip("/")
        if path.is_dir():
            run(["cp", "-aT", str(path), str(where)], before=where)
        else:
            run(["cp", "-a", str(path), str(where / path.name if target.endswith("/") else where)], before=where / "x")


def inside(root: Path, command: str, state: dict[str, str]) -> None:
    prefixes = ("PIP_", "SSL_", "REQUESTS_")
    kept = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy") or key.startswith(prefixes)}
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", **kept}
    run(["chroot", str(root), "/bin/sh", "-ec", command], environment=environment)


def start(root: Path, state: dict[str, str]) -> int:
    """Start what was built as its user, with nothing to write to but /data and /tmp."""
    environment = dict(each.split("=", 1) for each in shlex.split(state["ENV"]))
    entry = re.findall(r'"([^"]+)"', state["ENTRYPOINT"])
    size = int(subprocess.run(["du", "-sxm", str(root)], check=True, capture_output=True, text=True).stdout.split()[0])
    print(f"== size {size} MB, unpacked", flush=True)
    elsewhere = " ".join(f"-not -path '{path}*'" for path in ("/proc", "/dev", "/sys", "/data", "/tmp", "/var/tmp", "/run/lock"))
    writable = f"find / -xdev -writable -not -type l {elsewhere} 2>/dev/null | head -3"
    checks = [
        [*entry, "--version"],
        [*entry, "run", "--help"],
        ["/bin/sh", "-ec", f'test -z "$({writable})" && test $(id -u) = 65532'],
        [
            "/bin/sh",
            "-ec",
            f"cd /tmp && {entry[0]} init fleet && {entry[0]} build dev -C fleet > /dev/null && {entry[0]} check fleet",
        ],
        ["/bin/sh", "-ec", f"code=0; {entry[0]} run --context nowhere || code=$?; test $code = 3"],
    ]
    for check in checks:
        print(f"== start {shlex.join(check)[:100]}", flush=True)
        run(["chroot", f"--userspec={state['USER']}", str(root), *check], environment=environment)
    print("proven: every step, and that what they leave starts as its user")
    return 0


def run(command: list[str], *, environment: dict[str, str] | None = None, before: Path | None = None) -> None:
    if before is not None:
        before.parent.mkdir(parents=True, exist_ok=True)
    # found with our own path: what is started has another
    command = [shutil.which(command[0]) or command[0], *command[1:]]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout[-4000:])
        raise SystemExit(f"failed with {done.returncode}: {shlex.join(command)[:200]}")


if __name__ == "__main__":
    sys.exit(main())
