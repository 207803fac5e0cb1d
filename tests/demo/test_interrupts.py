"""A signal that ends the demo is not lost, wherever it comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOST = """
import os, signal, sys
from demo.interrupts import Interrupted, hear_first, recall

class Cleared:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

hear_first()
recall()
kept = Cleared()
del kept
print("it went on", flush=True)
try:
    recall()
except Interrupted as end:
    sys.exit(40 + end.number)
"""


def test_a_signal_that_comes_while_python_clears_something_away_is_raised_again() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOST], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (42, "it went on\n")
