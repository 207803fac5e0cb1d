"""Tells in one line what `make bench`, `faults` or `chaos` is to play and is not there.

Make asks it by any Python from 3.6, before anything is installed or begun; so it imports nothing of ours.
"""

import os
import re
import sys
from pathlib import Path

_NO_BENCHMARKS = {"__init__", "__main__", "asked", "counting", "hops", "memory", "meters", "page_load", "table"}
BENCHMARKS = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - _NO_BENCHMARKS)
FAULTS = ["triggerer", "worker", "scheduler", "dag-processor", "api-server", "redis", "postgres", "disk", "redelivery"]
"""In the order in which they are played."""
SCENARIOS = ["idle-1", "idle-5", "idle-20", "idle-50", "branches-100", "pushes-100", "spread-10x10"]
"""Of the benchmark `fleet`, which takes any number in them."""
_SCENARIO = re.compile(r"(idle|branches|pushes)-[1-9]\d*|spread-[1-9]\d*x[1-9]\d*")
_NUMBERS = ("SEED", "STEPS", "FIRST")


def read_names(variable: str, known: "list[str]") -> "list[str]":
    """Return what the variable names; where it names nothing, all that is known."""
    return os.environ.get(variable, "").split() or known


def tell_names(known: "list[str]") -> str:
    """Return what ONLY names that is not there, and what is; empty if nothing is wrong."""
    unknown = sorted(set(read_names("ONLY", known)) - set(known))
    return f"ONLY names {', '.join(unknown)}; there are {', '.join(known)}" if unknown else ""


def tell_scenarios() -> str:
    """Return likewise what SCENARIOS names."""
    unknown = [name for name in read_names("SCENARIOS", SCENARIOS) if not _SCENARIO.fullmatch(name)]
    there = "idle-50, branches-100, pushes-100 and spread-10x10, in any number"
    return f"SCENARIOS names {', '.join(unknown)}; there are {there}" if unknown else ""


def tell_bench() -> str:
    """Return what `make bench` is to measure that is no benchmark of ours."""
    wants_fleet = "fleet" in read_names("ONLY", BENCHMARKS)
    return tell_names(BENCHMARKS) or (tell_scenarios() if wants_fleet else "")


def tell_faults() -> str:
    """Return what `make faults` is to do that is no fault of ours."""
    return tell_names(FAULTS)


def tell_chaos() -> str:
    """Return which number of `make chaos` is none, or that the file to be played again is not there."""
    for name in _NUMBERS:
        given = os.environ.get(name, "0")
        if re.fullmatch("[0-9]+", given) is None:
            return f"{name} is {given!r}; it takes a whole number, as {name}=7"
    replay = os.environ.get("REPLAY", "")
    if replay and not Path(replay).is_file():
        return f"REPLAY names {replay}, which is no file; it takes one with the steps of a life that failed"
    return ""


_TELLERS = {"bench": tell_bench, "faults": tell_faults, "chaos": tell_chaos}

if __name__ == "__main__":
    lack = next(filter(None, (_TELLERS[name]() for name in sys.argv[1:])), "")
    sys.exit(f"error: {lack}" if lack else 0)
