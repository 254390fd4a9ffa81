"""Deleting a Kustomization: what happens to its objects, by its deletion policy, before the finalizer goes.

In: the object under deletion, its inventory. Out: objects deleted or left, and no finalizer of ours. While a delete
fails the finalizer stays, and the next pass tries again.
"""

from __future__ import annotations

from collections.abc import Callable

from penstock.apply import planning
from penstock.controllers.pruning import Pruned, Pruner
from penstock.controllers.reporting import Reporter
from penstock.controllers.specs import KustomizationSpec
from penstock.model import flux
from penstock.model.errors import TransientError
from penstock.model.inventory import Inventory
from penstock.ports.clock import Clock

_POLL_SECONDS = 0.5


async def finalize(
    reporter: Reporter,
    spec: KustomizationSpec,
    inventory: Inventory,
    pruner: Pruner | None,
    clock: Clock,
    tell: Callable[[str, bool], None],
) -> None:
    """Carry out the deletion policy, then remove the finalizer. Raises TransientError when a delete failed.

    pruner: None where nothing is to be deleted, or nobody is there to do it.
    """
    finalizers = list(reporter.manifest["metadata"].get("finalizers") or ())
    if flux.FINALIZER not in finalizers:
        return
    if pruner is not None:
        done = await pruner.run(
            planning.in_prune_order(inventory), inventory_size=len(inventory), digest="", annotations={}, guarded=False
        )
        if done.failures:
            tell("pruning for deleted resource failed", True)
            raise TransientError("delete failed, errors: " + "; ".join(done.failures), code=flux.PRUNE_FAILED)
        lines = [str(change) for change in sorted(done.changes) if change.outcome == "deleted"]
        if lines:
            tell("\n".join(lines), False)
        if spec.deletion_policy == "WaitForTermination" and not await _terminated(done, spec, pruner, clock):
            tell("failed to wait for resources termination", True)
    await reporter.set_finalizers([each for each in finalizers if each != flux.FINALIZER])


def deletes(spec: KustomizationSpec, inventory: Inventory) -> bool:
    """Whether the objects go with their Kustomization: never those of a suspended one."""
    if spec.suspend or not len(inventory):
        return False
    if spec.deletion_policy == "MirrorPrune":
        return spec.prune
    return spec.deletion_policy in ("Delete", "WaitForTermination")


async def _terminated(done: Pruned, spec: KustomizationSpec, pruner: Pruner, clock: Clock) -> bool:
    """Wait until the deleted objects are really gone; whether they all are."""
    until = clock.monotonic() + spec.timeout.total_seconds()
    for change in done.changes:
        if change.outcome != "deleted":
            continue
        while await pruner.there(change.id):
            if clock.monotonic() > until:
                return False
            await clock.sleep(_POLL_SECONDS)
    return True
