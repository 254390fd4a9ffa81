"""Penstock runs a multi-environment GitOps repository: render, sync, merge, promote."""

__version__ = "0.1.0"
