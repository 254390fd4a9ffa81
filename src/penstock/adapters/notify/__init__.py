"""Targets of notifications: Slack, Teams, a generic webhook, e-mail and everything else that apprise knows.

In: where a target is (from the fleet file, its secrets read), a message. Out: delivered, or a RemoteError that says whether
trying again may help. Nothing of an address, a key or an answer is ever part of an error.
"""

from __future__ import annotations

from penstock.adapters.notify.sending import Sender, Target

__all__ = ["Sender", "Target"]
