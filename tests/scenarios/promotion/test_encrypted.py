"""An app with encrypted files is promoted by whoever has no keys: ciphertext moves, and what ran is recognised."""

from __future__ import annotations

import pytest
from promotion_fleet import WEB, Fleet
from tests import sealing
from tests.sealing import AgeKey

from penstock import source
from penstock.adapters.sops_keys import Keys
from penstock.controllers import specs
from penstock.controllers.building import Builder
from penstock.decrypt.opening import Opener
from penstock.model.values import CommitId
from penstock.render import patterns


async def applied_with_keys(fleet: Fleet, environment: str, key: AgeKey) -> tuple[str, str]:
    """The digest that syncing records, and everything it would apply, as text."""
    await fleet.mirror.fetch()
    tip = fleet.mirror.resolve("main")
    assert tip is not None
    tree = fleet.mirror.tree(CommitId(tip))
    found = source.discover(tree).environment(environment)
    assert found is not None and found.kustomization is not None
    opener = Opener(Keys({"a.agekey": key.secret}, {}), patterns.compiled)
    spec = specs.kustomization(found.kustomization.manifest)
    built = await Builder().built(tree, spec, ("flux-system", environment), None, None, opener)
    return built.digest, repr([one.manifest for one in built.rendered.objects])


@pytest.mark.row("M28", "S06")
async def test_encrypted_secrets_move_as_ciphertext_after_they_ran_in_dev(fleet: Fleet) -> None:
    key = AgeKey()
    kustomization = await fleet.read(WEB.format("dev") + "kustomization.yaml")
    listed = kustomization.replace("resources:\n", "resources:\n- db.yaml\n")
    assert listed != kustomization
    # a new file first, then a new password in it: encrypted anew, so another text throughout
    for value, more in (
        ("canary-old-4b1d", {WEB.format("dev") + "kustomization.yaml": listed}),
        ("canary-new-77aa", {}),
    ):
        sealed = sealing.sealed_secret("db", "default", {"password": value}, key)
        await fleet.commit("a password for web", {WEB.format("dev") + "db.yaml": sealed, **more})
        digest, plain = await applied_with_keys(fleet, "dev", key)
        assert value in plain and "ENC[" not in plain
        await fleet.syncs("dev", digest=digest)
        assert await fleet.settle() == ["open web -> staging"]
        pull = await fleet.the_pull()
        assert "not healthy in dev yet" not in pull.body
        assert value not in pull.body + pull.title and "ENC[" not in pull.body
        assert "would refuse" not in pull.body, "a cluster cannot be asked about what is encrypted"
        # that ciphertext travels is for a person to look at
        assert pull.draft
        await fleet.forges["reviewer"].update_pull(pull.number, draft=False)
        await fleet.approve(pull)
        assert "merge web -> staging" in await fleet.settle()
        assert (await fleet.read(WEB.format("staging") + "db.yaml")).strip() == sealed.strip()
