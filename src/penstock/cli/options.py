"""Options that several verbs share, and how their texts are read."""

from __future__ import annotations

from collections.abc import Sequence

import click


def parse_contexts(contexts: Sequence[str]) -> dict[str, str]:
    """ENV=NAME pairs. Raises UsageError for anything else."""
    pairs = {}
    for text in contexts:
        environment, separator, name = text.partition("=")
        if not (environment and separator and name):
            raise click.UsageError(f"--context takes ENV=NAME, not {text!r}")
        pairs[environment] = name
    return pairs
