"""What the triggers of deferred tasks have in common: when they may send their event, how long they pause at most.

Waits for nothing itself.
"""

from __future__ import annotations

FIRST_EVENT_S = 7.0
"""Seconds from a trigger's start before it may send an event: Airflow 3.3's supervisor may see the exit of the task
that deferred some 5 s late, and a task that is resumed before that fails."""

LONGEST_BACKOFF_S = 60.0
"""A person waits for what is watched here; a repository's poller may fall back farther."""
