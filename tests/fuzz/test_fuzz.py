"""The corpus, and a small fixed number of mutations of it, through every target. `python -m tests.fuzz` does more."""

import random

import pytest
from tests.fuzz.__main__ import CORPUS, attempt, seeds
from tests.fuzz.mutating import mutated
from tests.fuzz.targets import TARGETS

MUTATIONS = 150


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_known_input_keeps_the_laws(path):
    assert attempt(path.parent.name, path.read_bytes()) is None


@pytest.mark.parametrize("target", TARGETS)
def test_mutations_keep_the_laws(target: str):
    corpus = seeds(target)
    chance = random.Random(7)
    for number in range(MUTATIONS):
        data = mutated(chance.choice(corpus), corpus, chance)
        assert attempt(target, data) is None, (number, data)
