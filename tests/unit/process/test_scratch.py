"""Private folders: what is said where there is none to be had; what removes them is held by those who use them."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.process.scratch import choose_scratch

if TYPE_CHECKING:
    from pathlib import Path


def test_a_worker_that_can_write_nowhere_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "gone")])
    with pytest.raises(RetryableError, match=r"nowhere to write: No usable temporary .*gone.*; free its disk, or name"):
        choose_scratch()
