"""The file of kept passes: one project's, as JSON, each as control kept it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.passes.snapshot import Snapshot, load_snapshot
from include.deploy_ops.core.versioned import unwrap_value, wrap_value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

BYTES_MAX = 512 * 1024 * 1024
"""Bytes of a file that are read: fifty passes of a large project are a tenth of it."""


def write_file(path: Path, project: str, dumped: Sequence[Any]) -> None:
    """Write the passes, as they were dumped, the oldest first."""
    path.write_text(json.dumps(wrap_value({"project": project, "passes": list(dumped)})), encoding="utf-8")


def read_file(path: Path) -> tuple[Snapshot, ...]:
    """Return the passes of a file, the oldest first; one that cannot be read is left out, with a word in the log.

    Raises PermanentError where the file is none of ours.
    """
    try:
        if path.stat().st_size > BYTES_MAX:
            raise PermanentError(f"{path}: it is larger than {BYTES_MAX} bytes; it is no file of kept passes")
        value = unwrap_value(str(path), json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise PermanentError(f"{path}: it cannot be read: {error.strerror}; name the file of FILE=…") from None
    except ValueError:
        raise PermanentError(f"{path}: it is no JSON; `make snapshots` writes such a file") from None
    passes = value.get("passes") if isinstance(value, dict) else None
    if not isinstance(passes, list):
        raise PermanentError(f"{path}: it holds no kept passes; `make snapshots` writes such a file")
    read = (load_snapshot(each, f"{path}, pass {number}") for number, each in enumerate(passes, 1))
    return tuple(sorted((each for each in read if each is not None), key=lambda each: each.at))
