"""What a release is made of."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
from tools import supply
from tools.image import prove


class Index(http.server.BaseHTTPRequestHandler):
    """A package index with one vulnerable version."""

    def do_GET(self):
        ids = [{"id": "PYSEC-2026-1"}, {"id": "PYSEC-2026-2", "withdrawn": "2026-01-01"}] if "/bad/" in self.path else []
        body = json.dumps({"vulnerabilities": ids}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def index(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def lock(tmp_path, monkeypatch):
    path = tmp_path / "run.txt"
    path.write_text("good==1.0 \\\n    --hash=sha256:aa\nbad==2.0 \\\n    --hash=sha256:bb\n    # via good\n")
    monkeypatch.setattr(supply, "LOCK", path)
    monkeypatch.setattr(supply, "ROOT", tmp_path)
    monkeypatch.setattr(supply, "KNOWN", tmp_path / "advisories.json")
    return tmp_path / "advisories.json"


def test_a_vulnerable_version_fails(index, lock, capsys):
    assert supply.advisories() == 1
    assert "bad==2.0 has PYSEC-2026-1" in capsys.readouterr().err


def test_an_accepted_advisory_passes(index, lock):
    lock.write_text(json.dumps({"checked": "never", "found": {}, "accepted": {"PYSEC-2026-1": "we never call it"}}))
    assert supply.advisories() == 0


def test_an_index_that_is_silent_is_said_loudly_and_the_last_answer_counts(lock, monkeypatch, capsys):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    lock.write_text(json.dumps({"checked": "2026-11-01", "found": {"bad==2.0": ["PYSEC-2026-1"]}, "accepted": {}}))
    assert supply.advisories() == 1
    said = capsys.readouterr().err
    assert "ADVISORIES NOT CHECKED" in said and "2026-11-01" in said and "UNKNOWN for good==1.0" in said


def test_the_bill_of_materials_names_every_locked_package(tmp_path):
    path = tmp_path / "sbom.json"
    assert supply.sbom(path) == 0
    named = {each["name"].lower(): each["version"] for each in json.loads(path.read_text())["components"]}
    assert named == supply.locked(supply.LOCK.read_text())


def test_the_containerfile_runs_as_nobody_in_particular_and_has_only_steps_that_are_proven():
    stages = prove.parse((prove.ROOT / "Containerfile").read_text())
    assert [stage.name for stage in stages] == ["build", ""]
    words = [word for stage in stages for word, _ in stage.steps]
    assert set(words) <= {"RUN", "COPY", "ENV", "WORKDIR", "USER", "ENTRYPOINT", "CMD"}
    assert ("USER", "65532:65532") in stages[-1].steps
