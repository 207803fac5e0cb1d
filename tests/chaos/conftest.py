"""The stage on which lives are played, and what is logged meanwhile."""

from tests.worlds.stages.fixtures import author, log, shared_sandbox, stage

__all__ = ["author", "log", "shared_sandbox", "stage"]
