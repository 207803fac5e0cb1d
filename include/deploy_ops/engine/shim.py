"""The `podman` that the Astro CLI finds: hands its arguments to the engine's socket and says what it is told to say.

Run as a script, by the standard library alone, since it starts anew for each command. It decides nothing.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

COMMAND_PATH = "/deploy-ops/command"  # no path of Docker's API
_NO_ENGINE = 125  # what Podman and Docker exit with when the engine itself fails


def main(arguments: list[str]) -> int:
    """Send `podman`'s arguments (after the socket's path) to the engine; return the exit code that it answers."""
    path, *argv = arguments
    try:
        answer = _ask_engine(path, json.dumps({"argv": argv, "cwd": str(Path.cwd())}).encode())
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"the engine at {path} gave no answer: {error}\n")
        return _NO_ENGINE
    sys.stdout.write(answer["stdout"])
    sys.stderr.write(answer["stderr"])
    return int(answer["exit_code"])


def _ask_engine(path: str, body: bytes) -> dict[str, str]:
    with socket.socket(socket.AF_UNIX) as connection:
        # None for the answer: a build is silent as long as it takes. The CLI has a time limit, which ends us too.
        connection.settimeout(30)
        connection.connect(path)
        connection.settimeout(None)
        # HTTP/1.0: the answer ends with the connection, and no length need be parsed.
        head = f"POST {COMMAND_PATH} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        with connection.makefile("rb") as stream:
            answer = stream.read()
    fields = json.loads(answer.partition(b"\r\n\r\n")[2])
    return {key: fields[key] for key in ("stdout", "stderr", "exit_code")}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
