"""From the first process to the last: the stack started, the tour played, and all kept up until somebody ends it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from demo.needs import read_executor
from demo.ports import PortError, read_ports
from demo.stack import POLICY, ROOT, Stack, StackError
from demo.tour import DAGS as TOUR_DAGS
from demo.tour import make_policy, play, prepare
from demo.witness import DAGS, Witness, WitnessError, make_witness

if TYPE_CHECKING:
    from demo.screen import Screen


def hold(screen: Screen, *, is_once: bool) -> int:
    """Return the exit code: 0 when all went well, 1 when a step did not come true, 2 when the stack could not start.

    :param is_once: end after the tour.
    """
    try:
        return _hold(screen, is_once=is_once)
    except WitnessError as error:
        screen.say(f"FAILED: {error}")
        return 1
    except (PortError, StackError) as error:
        screen.say(f"error: {error}")
        return 2


def _hold(screen: Screen, *, is_once: bool) -> int:
    ports, is_toured = read_ports(), os.environ.get("TOUR") != "0"
    policy = make_policy(POLICY.read_text(encoding="utf-8")) if is_toured else None
    home, executor = ROOT / ".airflow", read_executor()
    with Stack(ports, home, screen.say, policy, show=screen.show, executor=executor) as stack:
        witness = make_witness(stack)
        if is_toured:
            prepare(witness)
        for dag_id in (*(TOUR_DAGS if is_toured else ()), *DAGS):
            stack.unpause(dag_id)
        screen.say(f"Airflow  {ports.airflow_url}  (admin / admin)\nsandbox  {ports.sandbox_url}")
        witness.await_watch()
        has_come_true = not is_toured or _play(witness, screen)
        if is_once:
            return 0 if has_come_true else 1
        screen.say("It stays up; Ctrl-C ends it.")
        threading.Event().wait()
    return 0


def _play(witness: Witness, screen: Screen) -> bool:
    """Play the tour, and tell whether every step came true; the stack stays up to be looked at either way."""
    try:
        play(witness, screen.say)
    except WitnessError as error:
        screen.say(f"FAILED: {error}")
        return False
    return True
