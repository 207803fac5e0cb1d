"""Compiles files without running them, as a program of its own: what a file does to the compiler stays in its process.

Reads NUL-separated paths, relative to the project, from stdin; prints one JSON object a line for each of them, in
order. `dag_check.py` runs it as `python -I -S dag_probe.py PROJECT SYNTAX SECONDS`; it imports nothing but the standard
library and the ignore rules. After that many seconds with one file it dies of SIGALRM: compiling takes no notice of
anything milder.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

SOURCE_BYTES_MAX = 1 << 20
"""Larger files are not compiled: the compiler takes up to 430 bytes and 5 microseconds for each of their bytes."""
MEMORY_BYTES_MAX = 1 << 30
IGNORE_BYTES_MAX = 64 << 10
MESSAGE_LENGTH_MAX = 200
WARNINGS_MAX = 20

_IGNORE_FILE = ".airflowignore"


def probe(project: Path, name: str) -> dict[str, Any]:
    """Return what Python says of the file: an `error`, or in `unknown` why nothing is known, and `warnings`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        said = _compile(project / name, name)
    told = [_place(each.lineno, None, str(each.message)) for each in caught if _is_about_syntax(each)]
    return said | {"warnings": told[:WARNINGS_MAX]}


def _compile(path: Path, name: str) -> dict[str, Any]:
    try:
        source = _read(path)
        if source is None:
            return {"unknown": f"it is larger than {SOURCE_BYTES_MAX >> 20} MiB"}
        compile(source, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        return {"error": _describe(error, source)}
    except ValueError as error:  # null bytes, before Python 3.12
        return {"error": _place(_find_null(source), None, str(error))}
    except Exception as error:  # noqa: BLE001 - codecs raise what they like
        # Not proven broken: another Python has another limit (3.13 compiles chains that 3.12 refuses).
        return {"unknown": f"{type(error).__name__}: {error}"[:MESSAGE_LENGTH_MAX]}
    return {}


def _read(path: Path) -> bytes | None:
    """Return the file's bytes: Python itself decodes them, by its mark, its coding line, or as UTF-8."""
    with path.open("rb") as file:
        source = file.read(SOURCE_BYTES_MAX + 1)
    return None if len(source) > SOURCE_BYTES_MAX else source


def _describe(error: SyntaxError, source: bytes | None) -> dict[str, Any]:
    """Return place and words; the source line stays out, for an unfinished string may be a password."""
    line = error.lineno or _find_null(source) or _find_undecodable(source, str(error.msg))
    return _place(line, error.offset, str(error.msg))


def _find_null(source: bytes | None) -> int | None:
    at = (source or b"").find(b"\0")
    return None if source is None or at < 0 else source.count(b"\n", 0, at) + 1


def _find_undecodable(source: bytes | None, said: str) -> int | None:
    """Return the line of the first byte that is no UTF-8, where that is the complaint: Python names none."""
    try:
        (source or b"").decode()
    except UnicodeDecodeError as error:
        return error.object.count(b"\n", 0, error.start) + 1 if "utf-8" in said else None
    return None


def _place(line: int | None, column: int | None, text: str) -> dict[str, Any]:
    return {"line": max(1, line or 1), "column": max(1, column or 1), "text": text[:MESSAGE_LENGTH_MAX]}


def _is_about_syntax(caught: warnings.WarningMessage) -> bool:
    """Whether the compiler says so; an unknown escape in a string is a SyntaxWarning only since Python 3.12."""
    return issubclass(caught.category, (SyntaxWarning, DeprecationWarning))


class Airflowignore:
    """Which files of the project's `dags/` Airflow does not parse, by the `.airflowignore` files in it.

    :param syntax: `glob` or `regexp`, the Deployment's `[core] dag_ignore_file_syntax`.
    """

    def __init__(self, project: Path, syntax: str) -> None:
        self._project = project
        self._syntax = syntax
        self.unread: list[str] = []  # files of patterns that are too large

    def find_rule(self, name: str) -> str | None:
        """Return the pattern by which Airflow passes over the file, None if it parses it."""
        top, *rest = name.split("/")
        folders = [rest[:depth] for depth in range(len(rest))]
        patterns = [
            (folder, line)
            for folder in folders
            for line in self._read_patterns(self._project.joinpath(top, *folder, _IGNORE_FILE))
        ]
        if self._syntax == "regexp":
            return _search(["/".join(rest[: depth + 1]) for depth in range(len(rest))], [line for _, line in patterns])
        from include.deploy_ops.core.change.ignore import IgnoreRules
        from include.deploy_ops.core.model import RULE_LENGTH_MAX

        rules = (_reroot(folder, line) for folder, line in patterns)
        short = (rule for rule in rules if len(rule.encode("utf-8", "surrogateescape")) <= RULE_LENGTH_MAX)
        return IgnoreRules(short).find_rule("/".join(rest), is_folder=False)

    def _read_patterns(self, path: Path) -> list[str]:
        """Return the lines without comments, as Airflow reads them (its file_discovery.py)."""
        if not path.is_file() or not path.resolve().is_relative_to(self._project.resolve()):
            return []
        with path.open("rb") as file:
            text = file.read(IGNORE_BYTES_MAX + 1).decode(errors="replace")
        if len(text) > IGNORE_BYTES_MAX:
            self.unread.append(path.relative_to(self._project).as_posix())
            return []
        lines = (_drop_comment(line.removesuffix("\r")) for line in text.split("\n"))
        return [line for line in lines if line]


def _drop_comment(line: str) -> str:
    said, mark, _ = line.partition("#")
    return said.rstrip() if mark else line


def _search(paths: list[str], patterns: list[str]) -> str | None:
    for pattern in patterns:
        try:
            matcher = re.compile(pattern)
        # Airflow, too, passes over a pattern that is none.
        except (re.error, OverflowError, RecursionError):
            continue
        if any(matcher.search(path) for path in paths):
            return pattern
    return None


def _reroot(folder: list[str], pattern: str) -> str:
    """Return what a pattern of a folder's own file means, as a pattern of the top folder's file."""
    if not folder:
        return pattern
    sign, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    is_anchored = "/" in body.rstrip().rstrip("/")
    above = re.sub(r"([\\*?\[\]!# ])", r"\\\1", "/".join(folder))
    return f"{sign}{above}/{'' if is_anchored else '**/'}{body.removeprefix('/')}"


def main() -> None:
    """Probe every file that stdin names; a file that is broken is looked up in `.airflowignore`, too."""
    project, syntax, file_time_limit_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    # Our top, for the ignore rules; last, so that nothing in it stands in for the standard library.
    sys.path.append(str(Path(__file__).resolve().parents[3]))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    ignored = Airflowignore(project, syntax)
    for raw in sys.stdin.buffer.read().split(b"\0"):
        name = raw.decode("utf-8", "surrogateescape")
        signal.setitimer(signal.ITIMER_REAL, file_time_limit_s)
        said = probe(project, name)
        if "error" in said:
            said["ignored_by"] = ignored.find_rule(name)
            large = f"is larger than {IGNORE_BYTES_MAX >> 10} KiB, and was not read"
            said["warnings"] += [_place(1, None, f"{each} {large}") for each in ignored.unread]
            ignored.unread.clear()
        print(json.dumps(said), flush=True)  # noqa: T201 - its output is what it is for


if __name__ == "__main__":
    main()
