"""The deploy step."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.operators.stage import Stage

BRANCH = "dev-x"


def test_whole_run(stage: Stage, log) -> None:
    import cProfile, pstats
    head = stage.push(BRANCH)
    pr=cProfile.Profile(); pr.enable()
    t=time.time()
    did = stage.create_preview(BRANCH, head)
    print("T",time.time()-t)
    pr.disable()
    pstats.Stats(pr).sort_stats("cumtime").print_stats(70)
    assert 0
