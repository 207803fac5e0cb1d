"""Asks an advisory database about every locked package: `python -m supply.audit`.

Exits 0 when no package has a known hole, 1 when one has, and 3 when not every package could be asked about: then
nothing is known, and that is said. 2 is left to make, which ends with it whatever a recipe ends with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supply import ROOT, TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

NONE_KNOWN, FOUND, NOT_ASKED = 0, 1, 3
LOCKS = tuple(f"requirements{which}.txt" for which in ("", "-dev", "-celery", "-uv", "-supply"))
_TIMEOUT_S = 900


class NotAskedError(Exception):
    """The advisory database did not answer for every package; the text says why."""


@dataclass(frozen=True)
class Hole:
    """A known vulnerability of a locked package; `fixed_in` are the versions without it, maybe none."""

    package: str
    name: str
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.package}: {self.name}, fixed in {', '.join(self.fixed_in) or 'no version yet'}"


def main() -> int:
    """Print what is known, and return the exit code."""
    try:
        holes = audit([ROOT / lock for lock in LOCKS], os.environ.get("OSV_URL", ""))
    except NotAskedError as error:
        print(f"NOT AUDITED, nothing is known: {error}", file=sys.stderr)
        print(
            "Run it where https://osv.dev can be reached, or name a copy's query address in OSV_URL.", file=sys.stderr
        )
        return NOT_ASKED
    for hole in holes:
        print(hole)
    print(f"{len(holes) or 'no'} known vulnerabilities in what {', '.join(LOCKS)} lock")
    return FOUND if holes else NONE_KNOWN


def audit(locks: Iterable[Path], url: str = "") -> list[Hole]:
    """Return the known holes of what the locks hold. Raises NotAskedError.

    `url`: where OSV's query is asked; empty: at OSV itself.
    """
    packages = {each["name"]: each for lock in locks for each in _ask(lock, url)}
    if skipped := [f"{name} ({each['skip_reason']})" for name, each in packages.items() if "skip_reason" in each]:
        raise NotAskedError(f"{len(skipped)} packages were passed over: {'; '.join(skipped)}")
    return [hole for _, each in sorted(packages.items()) for hole in _read_holes(each)]


def _ask(lock: Path, url: str) -> list[dict[str, Any]]:
    """Return what pip-audit says of each package of one lock, which it reads without installing any."""
    tool = TOOLS / "pip-audit"
    options = ["--disable-pip", "--require-hashes", "--vulnerability-service=osv", "--format=json"]
    place = [f"--osv-url={url}"] if url else []
    try:
        done = subprocess.run(
            [tool, *options, *place, "--progress-spinner=off", f"--requirement={lock}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
        return list(json.loads(done.stdout)["dependencies"])
    except FileNotFoundError:
        raise NotAskedError(f"{tool} is missing; `make audit` installs it") from None
    except subprocess.TimeoutExpired:
        raise NotAskedError(f"no end within {_TIMEOUT_S} s") from None
    except json.JSONDecodeError:  # it ends with 1 for a hole as for no answer; only with an answer it prints a document
        raise NotAskedError(_read_cause(done.stderr) or f"pip-audit ended with {done.returncode}") from None


def _read_cause(said: str) -> str:
    """Return the last line of a traceback that says something, empty if none does."""
    told = [line for line in said.splitlines() if line.partition(": ")[2] and not line.startswith(" ")]
    return told[-1] if told else ""


def _read_holes(package: Mapping[str, Any]) -> list[Hole]:
    what = f"{package['name']} {package['version']}"
    return [Hole(what, each["id"], tuple(each["fix_versions"])) for each in package["vulns"]]


if __name__ == "__main__":
    sys.exit(main())
