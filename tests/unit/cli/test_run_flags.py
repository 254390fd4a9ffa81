"""What `penstock run` refuses before it does anything."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from penstock.cli import run
from penstock.model.errors import InputError


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--fleet", "f.yaml", "--context", "x"], "--fleet names the clusters"),
        (["--no-sync"], "nothing to do"),
        (["--web-addr", "127.0.0.1:0"], "for a fleet"),
        (["--leader-election-renew-deadline", "20s"], "below the lease duration"),
        (["--requeue-dependency", "soon"], "not a duration"),
        (["--concurrent", "0"], "starts at 1"),
        (["--custom-apply-stage-kinds", "a/b/c"], "GROUP/KIND"),
    ],
)
def test_flags_that_do_not_go_together(flags, says):
    done = CliRunner().invoke(run.command, flags)
    assert done.exit_code == 2 and says in done.output


@pytest.mark.parametrize("text", ["NoSuchGate=true", "GroupChangeLog=maybe", "StrictPostBuildSubstitutions=false"])
def test_a_feature_gate_that_cannot_be_had_is_an_error(text):
    with pytest.raises(InputError):
        run.feature_gates(text)


def test_feature_gates():
    assert run.feature_gates("AdditiveCELDependencyCheck=true, StrictPostBuildSubstitutions=true") == {
        "AdditiveCELDependencyCheck": True,
        "StrictPostBuildSubstitutions": True,
    }
