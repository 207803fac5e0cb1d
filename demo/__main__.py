"""`make demo`: the stack, the tour, and everything ended again on Ctrl-C (or right after the tour with ONCE=1)."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from demo.living import shorten_notice
from demo.ports import PortError, read_ports
from demo.stack import POLICY, ROOT, Stack, StackError
from demo.tour import play
from demo.witness import DAGS, Witness, WitnessError, make_witness


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


def main() -> int:
    """Return the exit code: 0 when all went well, 1 when a step did not come true, 2 when the stack could not start."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        ports, is_toured = read_ports(), os.environ.get("TOUR") != "0"
        policy = shorten_notice(POLICY.read_text(encoding="utf-8")) if is_toured else None
        with Stack(ports, ROOT / ".airflow", say, policy) as stack:
            for dag_id in DAGS:
                stack.unpause(dag_id)
            say(f"Airflow  {ports.airflow_url}  (admin / admin)\nsandbox  {ports.sandbox_url}")
            witness = make_witness(stack)
            witness.await_watch()
            if is_toured and not _play(witness) and os.environ.get("ONCE") == "1":
                return 1
            if os.environ.get("ONCE") != "1":
                say("It stays up; Ctrl-C ends it.")
                threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except WitnessError as error:
        say(f"FAILED: {error}")
        return 1
    except (PortError, StackError) as error:
        say(f"error: {error}")
        return 2
    return 0


def _play(witness: Witness) -> bool:
    """Play the tour, and tell whether every step came true; the stack stays up to be looked at either way."""
    try:
        play(witness, say)
    except WitnessError as error:
        say(f"FAILED: {error}")
        return False
    return True


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
