"""`make demo`: the stack, the tour, and everything ended again on Ctrl-C (or right after the tour with ONCE=1)."""

from __future__ import annotations

import os
import sys

from demo.interrupts import Interrupted, hear_first
from demo.needs import read_executor, tell_engine, tell_git
from demo.screen import Screen, ScreenClosedError


def main() -> int:
    """Return the exit code: that of `hold`; with ONCE=1, 128 and a signal's number if that ended it before.

    It is 1, too, when nobody reads any more.
    """
    screen, is_once = Screen(sys.stdout), os.environ.get("ONCE") == "1"
    hear_first()
    try:
        return _hold(screen, is_once=is_once)
    except Interrupted as end:
        screen.say(f"ended by {end}; no process is left")
        return 128 + end.number if is_once else 0
    except ScreenClosedError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes there once more when it ends
        sys.stderr.write(f"error: nobody reads the demo's output any more ({error}); no process is left\n")
        return 1


def _hold(screen: Screen, *, is_once: bool) -> int:
    if lack := tell_git() or tell_engine(read_executor()):
        screen.say(f"error: {lack}")
        return 2
    from demo.session import hold  # its imports take a second, in which a signal is heard already

    return hold(screen, is_once=is_once)


if __name__ == "__main__":
    sys.exit(main())
