"""One case in, what both engines say about it out: identical, both refused, or a difference with a signature."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from penstock import render
from penstock.model.errors import InputError
from penstock.yamldoc import reading

from .case import Case

Verdict = Literal["identical", "both refuse", "different bytes", "only we refuse", "only kustomize refuses", "we crash"]
DIFFERENCES: tuple[Verdict, ...] = ("different bytes", "only we refuse", "only kustomize refuses", "we crash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one engine gave: bytes, or an error text."""

    printed: bytes = b""
    error: str = ""
    code: str = ""
    crashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Both outcomes of a case."""

    verdict: Verdict
    theirs: Outcome
    ours: Outcome

    @property
    def differs(self) -> bool:
        return self.verdict in DIFFERENCES

    @property
    def signature(self) -> str:
        """Differences with one cause mostly share it: verdict, our code and both messages without names and numbers."""
        if self.verdict == "different bytes":
            return self.verdict
        if self.verdict == "only kustomize refuses":
            return f"{self.verdict}: {normal(self.theirs.error)}"
        if self.verdict == "both refuse":
            return f"{self.ours.code} | {normal(self.theirs.error)}"
        return f"{self.verdict}: {self.ours.code} {normal(self.ours.error)}"

    def show(self) -> str:
        """What differs, for a person."""
        if self.verdict == "different bytes":
            lines = difflib.unified_diff(
                self.theirs.printed.decode(errors="backslashreplace").splitlines(),
                self.ours.printed.decode(errors="backslashreplace").splitlines(),
                "kustomize",
                "penstock",
                lineterm="",
                n=2,
            )
            return "\n".join(list(lines)[:60])
        return f"kustomize: {self.theirs.error or '(built)'}\npenstock:  {self.ours.error or '(built)'}"


def normal(message: str) -> str:
    """A message without what varies from case to case."""
    lines = [line for line in message.splitlines() if line.strip() and not line.startswith(("#", "Flag "))]
    text = " ".join(lines[:3]).removeprefix("Error: ")
    text = re.sub(r"/dev/shm/\S+|/tmp/\S+", "PATH", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "Q", text)
    text = re.sub(r"[\w./-]+\.(?:yaml|yml|env|txt|json)(?::\d+)*", "FILE", text)
    text = re.sub(r"[\w~\[\]]+(?:\.[\w~\[\]-]+)+/[\w\[\]-]+\.[\w\[\]-]+", "ID", text)
    text = re.sub(r"map\[.*", "MAP", text)
    return re.sub(r"\d+", "N", text)[:150]


class Bench:
    """Runs both engines; keeps one scratch folder in memory where there is such a thing."""

    def __init__(self, kustomize: Path, leniency: reading.Leniency = reading.STRICT, remember: Path | None = None) -> None:
        self._kustomize = kustomize
        self._leniency = leniency
        self._remember = remember
        """Where kustomize's answers are kept: of a long sweep only our own engine changes between two runs."""
        shared_memory = Path("/dev/shm")
        self._scratch = Path(tempfile.mkdtemp(prefix="penstock-trees-", dir=shared_memory if shared_memory.is_dir() else None))
        self.runs = 0

    def close(self) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def theirs(self, case: Case) -> Outcome:
        """What the real kustomize says."""
        if self._remember is None:
            return self._run(case)
        name = hashlib.sha256(f"{self._kustomize}\n{case.unrestricted}\n{case.path}\n".encode())
        for path, content in sorted(case.files.items()):
            name.update(f"{path}\n{type(content).__name__}\n{len(content)}\n".encode())
            name.update(content if isinstance(content, bytes) else content.encode())
        file = self._remember / name.hexdigest()
        if file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            return Outcome(printed=bytes.fromhex(kept["printed"]), error=kept["error"])
        outcome = self._run(case)
        self._remember.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"printed": outcome.printed.hex(), "error": outcome.error}), encoding="utf-8")
        return outcome

    def _run(self, case: Case) -> Outcome:
        self.runs += 1
        folder = self._scratch / "t"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        case.write(folder)
        command = [str(self._kustomize), "build", str(folder / case.path)]
        if case.unrestricted:
            command.append("--load-restrictor=LoadRestrictionsNone")
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=60,
                check=False,
                cwd=folder,
                # no garbage is collected in so short a life: a third less CPU, the same bytes
                env={"PATH": "/nonexistent", "HOME": str(folder), "GOGC": "off"},
            )
        except subprocess.TimeoutExpired:
            return Outcome(error="timeout")
        if done.returncode == 0:
            return Outcome(printed=done.stdout)
        return Outcome(error=done.stderr.decode(errors="replace").replace(str(folder), "") or f"exit {done.returncode}")

    def ours(self, case: Case) -> Outcome:
        """What our engine says."""
        options = render.Options(
            restriction="none" if case.unrestricted else "rootOnly",
            leniency=self._leniency,
        )
        try:
            return Outcome(printed=render.emit(render.build(case.tree(), case.path, options)))
        except InputError as error:
            return Outcome(error=str(error), code=error.code)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            where = f"{Path(frames[-1].filename).name}:{frames[-1].name}"
            return Outcome(error=f"{type(error).__name__} in {where}: {error}", code="Crash", crashed=True)

    def judge(self, case: Case) -> Judgement:
        """Run both and compare."""
        ours = self.ours(case)
        theirs = self.theirs(case)
        return Judgement(verdict=_verdict(theirs, ours), theirs=theirs, ours=ours)


def _verdict(theirs: Outcome, ours: Outcome) -> Verdict:
    if ours.crashed:
        return "we crash"
    if theirs.error and ours.error:
        return "both refuse"
    if theirs.error:
        return "only kustomize refuses"
    if ours.error:
        return "only we refuse"
    return "identical" if theirs.printed == ours.printed else "different bytes"
