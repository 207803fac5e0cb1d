"""How much memory this process holds, as Linux counts it. Unlike `ru_maxrss`, nothing of a parent's is in it."""

from __future__ import annotations

import re
from pathlib import Path


def read_resident_mb(*, peak: bool = False) -> float:
    """Return the resident memory in MB (10^6 bytes): now, or the most there ever was in this process."""
    name = "VmHWM" if peak else "VmRSS"
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc/self/status names no {name}")
    return int(found[1]) * 1024 / 1e6
