"""What `make chaos` cannot play is refused before the sandbox starts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.chaos import __main__ as command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file or directory"),
        ("push 1\nfly 3\n", "no step: 'fly 3'; the deeds are"),
        ("\n", "holds no step"),
    ],
)
def test_a_file_that_cannot_be_played_starts_nothing(
    text: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "steps"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(sys, "argv", ["chaos", "--replay", str(file)])
    monkeypatch.setattr(command, "start_sandbox", lambda *_: pytest.fail("the sandbox was started"))
    with pytest.raises(SystemExit, match="2"):
        command.main()
    assert said in capsys.readouterr().err
