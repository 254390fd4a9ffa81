"""`penstock build` stands in for `kustomize build`: paths, flags, output; and refuses what would start something."""

import sys
from pathlib import Path

import pytest

from penstock import cli

WEB = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n"
DEPLOY = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for path, text in {
        "base/kustomization.yaml": "resources: [web.yaml, deploy.yaml]\n",
        "base/web.yaml": WEB,
        "base/deploy.yaml": DEPLOY,
        "app/kustomization.yaml": "resources: [../base]\nnamespace: shop\n",
        "outside/kustomization.yaml": "resources: [../base/web.yaml]\n",
        "twice/kustomization.yaml": "namePrefix: a-\nnamePrefix: b-\nresources: [../base]\n",
        "lost/kustomization.yaml": "resources: [gone.yaml]\n",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def run(capfdbinary: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, bytes, str]:
    code = cli.main(["build", *arguments])
    said = capfdbinary.readouterr()
    return code, said.out, said.err.decode()


BUILT = (
    b"apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: shop\n---\n"
    b"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\n"
)


@pytest.mark.parametrize(
    ("here", "arguments"),
    [
        ("", ["app"]),
        ("", ["./app/"]),
        ("", ["base/../app"]),
        ("app", []),
        ("app", ["."]),
        ("base", ["../app"]),
        ("/", ["{}/app"]),
        ("/", ["app", "-C", "{}"]),
    ],
)
def test_a_folder_can_be_named_from_anywhere(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], here: str, arguments: list[str]
):
    monkeypatch.chdir(repository / here)
    assert run(capfdbinary, *(text.format(repository) for text in arguments)) == (0, BUILT, "")


def test_inside_git_nothing_above_the_work_tree_is_read(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
):
    (repository / "app" / ".git").mkdir()
    code, out, error = run(capfdbinary, str(repository / "app"))
    assert (code, out) == (1, b"")
    assert "leads outside the repository" in error


def test_the_order_can_be_that_of_the_input(repository: Path, capfdbinary: pytest.CaptureFixture[bytes]):
    (repository / "base" / "kustomization.yaml").write_text("resources: [deploy.yaml, web.yaml]\n")
    assert run(capfdbinary, str(repository / "app"))[1] == BUILT
    assert run(capfdbinary, str(repository / "app"), "--reorder", "legacy")[1] == BUILT
    assert run(capfdbinary, str(repository / "app"), "--reorder", "none")[1].startswith(b"apiVersion: apps/v1")


def test_files_outside_the_kustomization_need_the_flag(repository: Path, capfdbinary: pytest.CaptureFixture[bytes]):
    code, _out, error = run(capfdbinary, str(repository / "outside"))
    assert code == 1
    assert "outside/kustomization.yaml:1:13: security; file '/base/web.yaml' is not in or below '/outside'" in error
    code, out, _error = run(capfdbinary, str(repository / "outside"), "--load-restrictor", "LoadRestrictionsNone")
    assert (code, out) == (0, WEB.encode())


def test_what_kustomize_lets_pass_can_be_let_pass(repository: Path, capfdbinary: pytest.CaptureFixture[bytes]):
    assert run(capfdbinary, str(repository / "twice"))[0] == 1
    code, out, _error = run(capfdbinary, str(repository / "twice"), "--lenient")
    assert code == 0
    assert out.count(b"name: b-web") == 2


def test_the_output_can_be_a_file_or_a_folder_of_files(repository: Path, capfdbinary: pytest.CaptureFixture[bytes]):
    assert run(capfdbinary, str(repository / "app"), "-o", str(repository / "out.yaml")) == (0, b"", "")
    assert (repository / "out.yaml").read_bytes() == BUILT
    (repository / "out").mkdir()
    assert run(capfdbinary, str(repository / "app"), "-o", str(repository / "out"))[0] == 0
    assert sorted(path.name for path in (repository / "out").iterdir()) == ["apps_v1_deployment_web.yaml", "v1_service_web.yaml"]


def test_files_of_several_namespaces_carry_them_in_their_names(repository: Path, capfdbinary: pytest.CaptureFixture[bytes]):
    (repository / "base" / "web.yaml").write_text(
        WEB + "  namespace: Other\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n"
    )
    (repository / "out").mkdir()
    run(capfdbinary, str(repository / "base"), "-o", str(repository / "out"))
    assert sorted(path.name for path in (repository / "out").iterdir()) == [
        "default_apps_v1_deployment_web.yaml",
        "other_v1_service_web.yaml",
        "v1_namespace_other.yaml",
    ]


@pytest.mark.parametrize(
    "flags",
    [
        ["--enable-helm"],
        ["--enable-exec"],
        ["--enable-alpha-plugins"],
        ["--network"],
        ["--as-current-user"],
        ["--helm-command", "helm"],
        ["--mount", "type=bind,src=/,dst=/x"],
        ["-e", "A=b"],
        ["--env", "A=b"],
    ],
)
def test_flags_that_would_start_something_are_refused(
    repository: Path, capfdbinary: pytest.CaptureFixture[bytes], flags: list[str]
):
    code, out, error = run(capfdbinary, str(repository / "app"), *flags)
    assert (code, out) == (2, b"")
    assert "is refused: a build starts no program and opens no connection" in error


@pytest.mark.parametrize(
    ("path", "says"), [("gone", "no environment 'gone'"), ("./gone", "doesn't exist"), ("lost", "gone.yaml")]
)
def test_what_is_missing_is_an_error(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], path: str, says: str
):
    monkeypatch.chdir(repository)
    code, out, error = run(capfdbinary, path)
    assert (code, out) == (1, b"")
    assert says in error


def test_a_build_loads_nothing_that_it_does_not_need(repository: Path):
    import subprocess

    heavy = [
        "aiohttp",
        "apprise",
        "decimal",
        "pygit2",
        "rich",
        "jinja2",
        "cryptography",
        "jsonschema_rs",
        "msgspec",
        "penstock.source",
        "difflib",
    ]
    program = (
        "import sys\nfrom penstock import cli\n"
        f"code = cli.main(['build', {str(repository / 'app')!r}])\n"
        f"print(code, [name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stderr == "0 []\n"
