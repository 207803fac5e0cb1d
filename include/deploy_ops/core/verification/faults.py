"""Read an import error: which file, which line of it, what was said, for people and for comparison. Pure.

Whoever pushed wrote the traceback, and may have written anything: what comes out is one short line, with nothing in it
that hides. Markdown and HTML are escaped by whoever shows it.

Airflow tells two frames by default (`dagbag_import_error_traceback_depth`), so the file itself is often not in it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.core.verification.verdict import BrokenFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from include.deploy_ops.core.verification.facts import ImportFault

ERROR_MAX = 300
"""Characters of an error that people are shown."""
FILE_MAX = 200

_FRAME = re.compile(r'  File "(?P<path>[^"\n]{1,1000})", line (?P<line>\d{1,7})')
_TYPE = re.compile(r"[A-Za-z_][\w.]{0,99}")
_PASSING = re.compile(r"0x[0-9a-fA-F]+|\d+")
_PROJECT, _DAGS = "/usr/local/airflow/", "/dags/"
"""Where a project lies in Astro's images; elsewhere, the DAG folder, by its usual name."""
_INSTALLED = "/site-packages/"
_UNNAMED = "an error without a name"


def read_fault(fault: ImportFault, *, is_public: bool = False) -> BrokenFile:
    """Return an import error as people read it.

    :param is_public: strangers read it: the exception's type alone, none of its message.
    """
    frames, said = _split(fault.trace)
    own = [line for path, line in frames if path == fault.file or path.endswith(f"/{fault.file}")]
    last = next(((_place(path), line) for path, line in reversed(frames) if _place(path)), None)
    kind = _find_type(said)
    told = kind if is_public else _make_line(said[-1] if said else "", ERROR_MAX) or kind
    if last is not None and not own:
        told = f"{told} ({_make_line(last[0], FILE_MAX)}, line {last[1]})"
    return BrokenFile(
        file=tell_file(fault.file),
        line=own[-1] if own else 0,
        error=told,
        identity=identify_fault(fault),
    )


def tell_file(path: str) -> str:
    """Return a file's path as people read it, and as `BrokenFile` has it."""
    return _make_line(path, FILE_MAX)


def identify_fault(fault: ImportFault) -> str:
    """Return what two faults have in common that are the same one: of one file, with one message but for its numbers.

    A person who mutes one, and whoever compares with another Deployment, means this.
    """
    _, said = _split(fault.trace)
    told = _PASSING.sub("0", "\n".join(said))
    return hashlib.sha256(f"{fault.file}\n{told}".encode("utf-8", "replace")).hexdigest()[:16]


def tell_apart(
    broken: Iterable[BrokenFile], elsewhere: Iterable[ImportFault], muted: Collection[str]
) -> tuple[BrokenFile, ...]:
    """Return the broken files, by name, and with what excuses them.

    :param elsewhere: the faults of the Deployment with which is compared.
    :param muted: identities of what a person muted.
    """
    shared = {identify_fault(each) for each in elsewhere}
    found = (replace(each, is_shared=each.identity in shared, is_muted=each.identity in muted) for each in broken)
    return tuple(sorted(found, key=lambda each: (each.file, each.identity)))


def list_failures(broken: Iterable[BrokenFile]) -> tuple[BrokenFile, ...]:
    """Return those that fail a verification: neither muted nor there before."""
    return tuple(each for each in broken if not (each.is_muted or each.is_shared))


def _split(trace: str) -> tuple[list[tuple[str, int]], list[str]]:
    """Return the frames of the last traceback in a text, and the lines behind them that say what happened."""
    lines = trace.rstrip().splitlines()
    frames: list[tuple[str, int]] = []
    said: list[str] = []
    for line in lines:
        if found := _FRAME.match(line):
            frames.append((found["path"], int(found["line"])))
            said = []
        elif line.startswith("Traceback (most recent call last)"):
            frames, said = [], []
        elif not line.startswith("    ") and line.strip():
            said.append(line.strip())
    return frames, said


def _find_type(said: list[str]) -> str:
    found = _TYPE.match(said[0]) if said else None
    return found[0].rpartition(".")[2] or _UNNAMED if found else _UNNAMED


def _place(path: str) -> str:
    """Return a path as it stands in the repository; empty where it is none of the project's."""
    if _INSTALLED in path:
        return ""
    if path.startswith(_PROJECT):
        return path.removeprefix(_PROJECT)
    _, found, below = path.partition(_DAGS)
    return f"dags/{below}" if found else ""


def _make_line(text: str, length_max: int) -> str:
    """Return a text in one line of at most so many characters, in which every character is seen."""
    line = reveal(" ".join(text[: 4 * length_max].split()))
    return line if len(line) <= length_max else f"{line[: length_max - 1]}…"
