"""Deleting a Kustomization: what happens to its objects, by its deletion policy, before the finalizer goes.

In: the object under deletion, its inventory. Out: objects deleted or left, and no finalizer of ours. While a delete
fails the finalizer stays, and the next pass tries again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from penstock.apply import planning
from penstock.controllers.pruning import Pruned, Pruner
from penstock.controllers.reporting import Reporter
from penstock.controllers.specs import KustomizationSpec
from penstock.model import flux
from penstock.model.errors import RefusedError, TransientError
from penstock.model.inventory import Inventory

if TYPE_CHECKING:
    from penstock.controllers.kustomization import KustomizationReconciler

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.5


async def finalize(
    reporter: Reporter,
    spec: KustomizationSpec,
    inventory: Inventory,
    pruner: Pruner,
    about: KustomizationReconciler,
    tell: Callable[[str, bool], None],
) -> None:
    """Carry out the deletion policy, then remove the finalizer. Raises TransientError when a delete failed."""
    finalizers = list(reporter.manifest["metadata"].get("finalizers") or ())
    if flux.FINALIZER not in finalizers:
        return
    if _deletes(spec, inventory):
        try:
            done = await pruner.run(
                planning.in_prune_order(inventory), inventory_size=len(inventory), digest="", annotations={}, guarded=False
            )
        except RefusedError as error:
            # the identity is gone (its service account or rights): what it owned cannot be deleted as it
            tell(f"unable to prune objects: {error.what}", True)
            done = Pruned()
        if done.failures:
            tell("pruning for deleted resource failed", True)
            raise TransientError("delete failed, errors: " + "; ".join(done.failures), code=flux.PRUNE_FAILED)
        lines = [str(change) for change in sorted(done.changes) if change.outcome == "deleted"]
        if lines:
            tell("\n".join(lines), False)
        if spec.deletion_policy == "WaitForTermination" and not await _terminated(done, spec, about):
            tell("failed to wait for resources termination", True)
    await reporter.set_finalizers([each for each in finalizers if each != flux.FINALIZER])


def _deletes(spec: KustomizationSpec, inventory: Inventory) -> bool:
    if spec.suspend or not len(inventory):
        return False
    if spec.deletion_policy == "MirrorPrune":
        return spec.prune
    return spec.deletion_policy in ("Delete", "WaitForTermination")


async def _terminated(done: Pruned, spec: KustomizationSpec, about: KustomizationReconciler) -> bool:
    """Wait until the deleted objects are really gone; whether they all are."""
    until = about.clock.monotonic() + spec.timeout.total_seconds()
    for change in done.changes:
        if change.outcome != "deleted":
            continue
        resource = await about.cluster.resource(change.id.group, change.id.kind)
        while resource is not None and await about.cluster.get(resource, change.id.namespace, change.id.name) is not None:
            if about.clock.monotonic() > until:
                return False
            await about.clock.sleep(_POLL_SECONDS)
    return True
