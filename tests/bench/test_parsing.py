"""Parsing: what Python tells of imports is read, and a file that is not parsed ends the benchmark with its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.parsing import BEGINS, do_nothing, parse_in_fork, rank_packages, read_imports

if TYPE_CHECKING:
    from pathlib import Path

TOLD = f"""import time: self [us] | cumulative | imported package
import time:      9000 |       9000 | airflow.imports
{BEGINS}
import time:      1500 |       1500 |     include.deploy_ops.core.naming
import time:       500 |       2000 |   include.deploy_ops.core
import time:      4000 |       6000 | github
said by somebody: 7 | 7 | nothing
"""


def test_only_what_a_task_imports_counts_by_its_package() -> None:
    found = read_imports(TOLD)
    assert found == {"include.deploy_ops.core": [1500, 500], "github": [4000]}
    assert [*rank_packages(found)] == [
        ["github", 1, "4 ms"],
        ["include.deploy_ops.core", 2, "2 ms"],
        ["0 others", 0, "0 ms"],
        ["all", 3, "6 ms"],
    ]


def test_a_file_that_is_not_parsed_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("from airflow.sdk import DAG\nimport no_such_module\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="no_such_module"):
        parse_in_fork(tmp_path, do_nothing, do_nothing)
