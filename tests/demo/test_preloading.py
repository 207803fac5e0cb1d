"""What Airflow imports before it forks: the modules of the DAG files, not these files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from airflow.executors.local_executor import LocalExecutor

from demo.preloading import PreloadingBundle, PreloadingExecutor, preload
from demo.stack import BUNDLE, ROOT

LIST = "import json, sys; from pathlib import Path; from demo.preloading import preload; preload(Path(sys.argv[1])); {}"


def write_dag(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "orders.py").write_text(text)
    return folder


def test_all_that_a_dag_file_of_ours_brings_is_there_before_and_no_dag_file_was_run() -> None:
    """Else each task would import it anew. What Airflow itself imports when a DAG is made is left to it."""
    program = LIST.format(
        "before = set(sys.modules); import dags.preview, dags.control, dags.target; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, ROOT / "dags"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ours = {name for name in done.stdout.split() if name.partition(".")[0] != "airflow"}
    assert ours == {"dags", "dags.preview", "dags.control", "dags.target"}


@pytest.mark.parametrize("text", ["from no_such_module import dag", "from json import dag", "from"])
def test_a_file_that_cannot_be_imported_is_no_silence(tmp_path: Path, text: str) -> None:
    with pytest.raises((ImportError, AttributeError, SyntaxError)):
        preload(write_dag(tmp_path, text))


def test_an_executor_imports_before_it_forks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setattr("airflow.settings.DAGS_FOLDER", str(tmp_path))
    monkeypatch.setattr("demo.preloading.preload", done.append)
    monkeypatch.setattr("airflow.executors.local_executor.LocalExecutor.start", lambda _: done.append("fork"))
    executor: LocalExecutor = PreloadingExecutor(parallelism=1)  # type: ignore[no-untyped-call]
    executor.start()
    assert done == [tmp_path, "fork"]


def test_a_bundle_is_the_folder_that_airflow_parses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setattr("demo.preloading.preload", done.append)
    bundle = PreloadingBundle(name="dags-folder", path=str(tmp_path))
    bundle.refresh()
    assert (done, bundle.path) == ([tmp_path], tmp_path)
    assert BUNDLE["classpath"] == f"{PreloadingBundle.__module__}.{PreloadingBundle.__qualname__}"
