"""`make bench`: runs every benchmark, or those that ONLY names, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from bench.asked import BENCHMARKS, read_names, tell_bench
from demo.interrupts import Interrupted, hear_first


def main() -> int:
    """Return 0 when every benchmark ran to its end; 128 and a signal's number if that ended them."""
    if lack := tell_bench():
        print(lack, file=sys.stderr)
        return 2
    hear_first()
    try:
        failed = [name for name in read_names("ONLY", BENCHMARKS) if run(name)]
    except Interrupted as end:
        print(f"ended by {end}", file=sys.stderr)
        return 128 + end.number
    if failed:
        print(f"did not run to their end: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str) -> int:
    """Return a benchmark's exit code; who ends us ends it, which may tell what it measured and clear away its own."""
    with subprocess.Popen([sys.executable, "-m", f"bench.{name}"]) as process:
        try:
            return process.wait()
        except Interrupted as end:
            process.send_signal(end.number)
            raise


if __name__ == "__main__":
    sys.exit(main())
