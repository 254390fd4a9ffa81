"""The verbs that look at one Kustomization of a real cluster, through the command line itself."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from penstock import cli

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: {0}}}\nstringData: {{password: {1}}}\n"
SERVICE = (
    "apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: {0}}}\n"
    "spec:\n  selector: {{a: b}}\n  ports: [{{name: http, port: {1}}}]\n"
)
VARIABLE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: v, namespace: {0}}}\ndata: {{r: '${{region}}'}}\n"


@pytest.fixture
async def penstock(place):
    """Runs `penstock ARGUMENTS` against the place's cluster; gives exit code and output."""
    config = place.folder / "cli.kubeconfig"
    config.write_text(json.dumps(place.server.kubeconfig()))

    async def run(*arguments: str):
        whole = [*arguments, "--kubeconfig", str(config), "-n", place.namespace]
        done = await asyncio.to_thread(CliRunner().invoke, cli.command, whole, standalone_mode=False)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.return_value or 0, done.output

    return run


async def synced(place, **spec):
    revision = await place.commit(
        {
            "secret.yaml": SECRET.format(place.namespace, "hunter2"),
            "service.yaml": SERVICE.format(place.namespace, 9898),
            "vars.yaml": VARIABLE.format(place.namespace),
        }
    )
    await place.source()
    await place.kustomization(spec={"postBuild": {"substitute": {"region": "eu west"}}, **spec})
    place.start("a")
    await place.until_applied(revision)


async def test_diff_shows_what_applying_a_folder_would_change(place, penstock):
    await synced(place)
    code, output = await penstock("diff", "ks", "app", "--path", str(place.work))
    assert (code, output) == (0, "")
    (place.work / "service.yaml").write_text(SERVICE.format(place.namespace, 9899))
    (place.work / "secret.yaml").write_text(SECRET.format(place.namespace, "other"))
    (place.work / "vars.yaml").unlink()
    code, output = await penstock("diff", "ks", "app", "--path", str(place.work))
    assert code == 1
    shown = output.replace(">", "►").splitlines()
    assert f"► Service/{place.namespace}/web drifted" in shown
    assert f"► ConfigMap/{place.namespace}/v deleted" in shown
    assert "- 9898" in shown and "+ 9899" in shown
    assert "- *** (before)" in shown and "+ *** (after)" in shown
    assert "hunter2" not in output and "other" not in output
    found = await place.get("Service", "web")
    assert found["spec"]["ports"][0]["port"] == 9898, "nothing was applied"


async def test_an_error_of_diff_is_no_difference(place, penstock):
    await synced(place)
    (place.work / "service.yaml").write_text("kind: [")
    code, _ = await penstock("diff", "ks", "app", "--path", str(place.work))
    assert code > 1
    code, _ = await penstock("diff", "ks", "nobody", "--path", str(place.work))
    assert code > 1


async def test_build_and_debug_show_what_goes_in(place, penstock):
    await synced(place)
    code, output = await penstock("build", "ks", "app", "--path", str(place.work))
    assert code == 0 and "r: eu west" in output and "hunter2" not in output
    assert f"kustomize.toolkit.fluxcd.io/namespace: {place.namespace}" in output
    assert await penstock("debug", "ks", "app", "--show-vars") == (0, 'region="eu west"\n')
    _, history = await penstock("debug", "ks", "app", "--show-history")
    assert "lastReconciledStatus: ReconciliationSucceeded" in history


async def test_trace_leads_from_an_object_to_its_source(place, penstock):
    await synced(place)
    code, output = await penstock("trace", "service", "web")
    rows = [line.split(":", 1) for line in output.splitlines() if ":" in line]
    found = [(title, text.strip()) for title, text in rows]
    assert code == 0
    assert found[:3] == [("Object", "service/web"), ("Namespace", place.namespace), ("Status", "Managed by Flux")]
    assert ("Kustomization", "app") in found and ("GitRepository", "fleet") in found and ("Branch", "main") in found
    await place.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hand", "namespace": place.namespace}})
    _, output = await penstock("trace", "configmap", "hand")
    assert "Not managed by Flux" in output


async def test_check_says_who_leads_and_version_says_what_is_there(place, penstock):
    code, output = await penstock("check", "--cluster")
    assert code == 1 and "nobody leads" in output and "check failed" in output
    await synced(place)
    code, output = await penstock("check", "--cluster")
    assert code == 0 and " leads" in output and "all checks passed" in output
    code, output = await penstock("check", "--pre")
    assert code == 0 and "prerequisites checks passed" in output
    code, output = await penstock("version", "-o", "json")
    assert code == 0 and json.loads(output)["kustomizations.kustomize.toolkit.fluxcd.io"].startswith("penstock v")
