"""Cuts e-mail addresses out of what people are shown: some names in Airflow, Git and Astro are addresses. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.deploy_ops.core.plan.outcome import Outcome

_ADDRESS = re.compile(r"([A-Za-z0-9._%+-]{1,64})@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,63}")


def hide_address(text: str) -> str:
    """Return the text with each address cut behind its sign."""
    return _ADDRESS.sub(r"\1@…", text)


def hide_addresses_of(outcome: Outcome) -> Outcome:
    """Return the outcome with the addresses in its texts and names cut."""
    return replace(
        outcome,
        why=hide_address(outcome.why),
        reason=hide_address(outcome.reason),
        cause=hide_address(outcome.cause),
        person=hide_address(outcome.person),
        approver=hide_address(outcome.approver),
        author=hide_address(outcome.author),
        subject=hide_address(outcome.subject),
        commit_author=hide_address(outcome.commit_author),
    )
