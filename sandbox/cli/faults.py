"""Faults that the sandbox plants into the stand-in. The real CLI has nothing of the kind."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sandbox.cli.errors import CliError, StopError
from sandbox.cli.transport import send_request

if TYPE_CHECKING:
    from sandbox.cli.session import Session

_TIMEOUT_S = 5.0
_OK = 200


def obey_fault(session: Session, command: str) -> None:
    """Ask the sandbox for a fault of this command (`deploy`, `create`, ...) and do as it says.

    `{"exit_0_without_deploying": true}` ends at once as if all were well; `{"exit": n, "stderr": text}` ends with that;
    `{"hang_s": seconds}` waits before the command goes on. A server without planted faults is one without faults.

    :raises StopError: if the command shall end here.
    """
    fault = _fetch_fault(session.api.core.removesuffix("/astro"), command)
    if "hang_s" in fault:
        time.sleep(float(fault["hang_s"]))
    if fault.get("exit_0_without_deploying"):
        raise StopError(0)
    if "exit" in fault:
        print(fault.get("stderr", ""), file=sys.stderr)
        raise StopError(int(fault["exit"]))


def _fetch_fault(base_url: str, command: str) -> dict[str, Any]:
    query = urlencode({"command": command})
    try:
        answer = send_request("GET", f"{base_url}/sandbox/faults/cli?{query}", {}, timeout_s=_TIMEOUT_S)
        fault = json.loads(answer.body)["fault"] if answer.status == _OK else None
    except (CliError, ValueError, KeyError):
        return {}
    return fault or {}
