"""Python files that exhaust or deceive the check of DAG files: it ends in time, tells what is left out, runs none."""

from __future__ import annotations

import io
import logging
import os
import resource
import socket
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout import dag_check
from include.deploy_ops.checkout.dag_check import check_dags
from include.deploy_ops.checkout.dag_probe import IGNORE_BYTES_MAX, SOURCE_BYTES_MAX
from include.deploy_ops.checkout.project_check import refuse_empty_dags
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.work import Verb
from tests.hostile.conftest import within

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.worlds.stages.stage import Stage

SECONDS_MAX = 20.0
MEMORY_BYTES_MAX = 1 << 30
LARGE = 900_000  # bytes, less than what is too large to be looked at
BROKEN = b"def f(:\n"
IMPORT = b"from airflow.operators.dummy_operator import DummyOperator\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project" / "dags").mkdir(parents=True)
    return tmp_path / "project"


@pytest.fixture(autouse=True)
def short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_check, "FILE_TIME_LIMIT_S", 2.0)
    monkeypatch.setattr(dag_check, "TIME_LIMIT_S", 6.0)


def write(project: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def check(project: Path, caplog: pytest.LogCaptureFixture, *, ignore_syntax: str = "glob") -> tuple[str, list[str]]:
    """Check all files within bounds; return the refusal, if any, and the warnings."""
    refusal = ""
    with within(SECONDS_MAX), caplog.at_level(logging.WARNING, logger=dag_check.__name__):
        try:
            check_dags(project, None, ignore_syntax=ignore_syntax)
        except PermanentError as error:
            refusal = str(error)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10 < MEMORY_BYTES_MAX
    return refusal, [record.getMessage() for record in caplog.records]


FINE = {
    "powers": b"x = 9**9**9**9\n",
    "repeated text": b"x = 'a' * 10**10\n",
    "repeated tuple": b"x = ((1,) * 10**5) * 10**5\n",
    "shifted": b"x = 1 << 10**10\n",
    "a wide format": b"x = '%999999999s' % 1\n",
    "a million lines": b"\n" * LARGE,
    "statements": b"x = 1\n" * (LARGE // 6),
    "a long number": b"x = 0x" + b"9" * LARGE + b"\n",
    "a long text": b"x = '" + b"a" * LARGE + b"'\n",
    "sums": b"x = " + b"'a' + " * 500 + b"'b'\n",
    "carriage returns": b"\r" * LARGE,
}
HELD_UP = {
    "negations": b"not " * (LARGE // 4) + b"1\n",
    "signs": b"~" * LARGE + b"1\n",
    "attributes": b"a" + b".b" * (LARGE // 2) + b"\n",
    "calls": b"a" + b"()" * (LARGE // 2) + b"\n",
    "branches": b"if a:\n pass\n" + b"elif a:\n pass\n" * (LARGE // 14),
    "choices": b"a if b else " * (LARGE // 12) + b"c\n",
    "functions": b"def f(a):\n return a\n" * (LARGE // 20),
    "a slow codec": b"# coding: punycode\n" + b"x" * (LARGE // 2) + b"-" + b"9" * (LARGE // 2),
    "too large": b"#" * (SOURCE_BYTES_MAX + 1),
}
WRONG = {
    "a codec that is none": b"# coding: zlib\nx=1\n",
    "a codec that refuses": b"# coding: undefined\nx=1\n",
    "a codec's name without end": b"# coding: " + b"a" * LARGE,
    "a codec named like a login": b"\xef\xbb\xbf# coding: http-basic\n",
    "a null byte": b"x = 1\0\n",
    "a long decimal number": b"x = " + b"9" * LARGE + b"\n",
    "brackets": b"[" * 150 + b"a b" + b"]" * 150,
    "an endless text": b"'''" + b"a\n" * (LARGE // 2),
    "ligatures": "\ufdfa".encode() * (LARGE // 3),
    "a name twice": b"f(" + b"a=1," * (LARGE // 4) + b")\n",
    "errors in each line": b"x = 'a' 'b' c\n" * (LARGE // 14),
}


@pytest.mark.parametrize("source", FINE.values(), ids=FINE)
def test_what_only_seems_large_is_checked(project: Path, source: bytes, caplog: pytest.LogCaptureFixture) -> None:
    write(project, {"dags/a.py": source, "dags/b.py": BROKEN})
    refusal, _ = check(project, caplog)
    assert refusal.startswith("dags/b.py:1:7:")


@pytest.mark.parametrize("source", HELD_UP.values(), ids=HELD_UP)
def test_what_is_too_much_is_told_and_hides_nothing(
    project: Path, source: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, {"dags/a.py": source, "dags/b.py": BROKEN})
    refusal, warnings = check(project, caplog)
    assert refusal.startswith("dags/b.py:1:7:")
    assert any(line.startswith("dags/a.py:1:1: not checked") for line in warnings)


@pytest.mark.parametrize("source", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_in_few_words(project: Path, source: bytes, caplog: pytest.LogCaptureFixture) -> None:
    write(project, {"dags/a.py": source})
    refusal, warnings = check(project, caplog)
    assert refusal.startswith("dags/a.py:")
    assert sum(map(len, [refusal, *warnings])) < 10_000


def test_many_slow_files_take_no_longer_than_one(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(project, {f"dags/{number:03}.py": HELD_UP["functions"] for number in range(12)})
    _, warnings = check(project, caplog)
    assert any("more changed files were not checked" in line for line in warnings)


@pytest.mark.parametrize(("bound", "most"), [("FILES_MAX", 3), ("BYTES_MAX", 3 * len(IMPORT))])
def test_more_files_than_are_looked_at_are_counted(
    project: Path, bound: str, most: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dag_check, bound, most)
    write(project, {f"dags/{number:03}.py": IMPORT for number in range(10)})
    _, warnings = check(project, caplog)
    assert any(line.startswith("7 more changed files were not checked") for line in warnings)
    assert check_dags(project, None) == 7


def test_findings_without_end_are_cut(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(project, {f"dags/{number}.py": IMPORT * (LARGE // len(IMPORT)) for number in range(10)})
    _, warnings = check(project, caplog)
    assert len(warnings) < 40


NAMES = [
    "http-basic a b.py",
    "ghp_abcdefghijklmnopqrstuvwxyz.py",
    "eyJabcdefghij.abcdef.py",
    "Bearer abcdefghijklmnopq.py",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_looks_like_a_token_changes_no_answer(
    project: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, {f"dags/{name}": IMPORT + b"DummyOperator(task_id='a')\n", "dags/z.py": b"x = 1\n"})
    refusal, warnings = check(project, caplog)
    assert not refusal
    assert ["AIR302" in line for line in warnings] == [True]
    write(project, {f"dags/{name}": BROKEN})
    assert check(project, caplog)[0].startswith(f"dags/{name}:1:7:")


def run_canary(canary: Path) -> bytes:
    return f"open({str(canary)!r}, 'w').close()\n".encode()


SHADOWS = [
    *("json.py", "re.py", "resource.py", "warnings.py", "pathlib.py", "sitecustomize.py", "usercustomize.py"),
    *("encodings/evil.py", "encodings/__init__.py", "evil.py", "include/__init__.py", "ruff.py", "conftest.py"),
]


def test_no_module_of_the_branch_is_imported(
    project: Path, canary: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = run_canary(canary)
    write(project, {f"{where}{name}": code for where in ("", "dags/") for name in SHADOWS})
    write(project, {"dags/a.py": b"# coding: evil\n" + code, "dags/b.py": BROKEN, "dags/.airflowignore": b"c.py\n"})
    monkeypatch.chdir(project)
    monkeypatch.setenv("PYTHONPATH", str(project / "dags"))
    refusal, _ = check(project, caplog)
    assert "unknown encoding: evil" in refusal


def test_settings_of_the_branch_reach_no_ruff(project: Path, canary: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = f"extend = '/proc/self/environ'\ncache-dir = '{canary}'\noutput-file = '{canary}'\nfix = true\n".encode()
    tables = b"[tool.ruff]\n" + settings
    content = IMPORT + b"DummyOperator(task_id='a')\n"
    write(project, {"ruff.toml": settings, "dags/.ruff.toml": settings, "dags/pyproject.toml": tables})
    write(project, {"dags/a.py": content, "dags/@file.py": b"--add-noqa\n", "dags/--fix.py": content})
    _, warnings = check(project, caplog)
    assert (project / "dags/a.py").read_bytes() == content
    assert sum("AIR302" in line for line in warnings) == 2


def zip_bomb(entries: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for number in range(entries):
            archive.writestr(f"../../{number}.py", bytes(4 << 20))
        archive.writestr("__main__.py", "raise SystemExit")
    return packed.getvalue()


def test_archives_stay_as_they_are(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    bomb = zip_bomb(20)
    write(project, {"dags/bomb.zip": bomb, "dags/bomb.egg": bomb, "dags/a.py": b"x = 1\n"})
    assert check(project, caplog) == ("", [])
    refuse_empty_dags(project)
    assert sorted(path.name for path in project.rglob("*")) == ["a.py", "bomb.egg", "bomb.zip", "dags"]
    write(project, {"dags/a.py": bomb})
    assert check(project, caplog)[0].startswith("dags/a.py:1:1:")


def make_special(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(path))
    else:
        path.symlink_to(kind)


@pytest.mark.parametrize("name", ["a.py", ".airflowignore"])
@pytest.mark.parametrize(
    "kind", ["pipe", "socket", "/dev/zero", "/dev/stdin", "/proc/self/fd/0", "/proc/self/mem", ".", "nowhere"]
)
def test_nothing_but_files_is_opened(
    project: Path, name: str, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    write(project, {"dags/b.py": BROKEN})
    make_special(project / "dags" / name, kind)
    assert check(project, caplog) == ("dags/b.py:1:7: invalid syntax;\n" + END, [])


@pytest.mark.parametrize("kind", ["pipe", "socket", "/dev/zero", ".", "nowhere", "a.py"])
def test_what_is_no_file_is_no_dag(project: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    make_special(project / "dags" / "a.py", kind)
    with pytest.raises(PermanentError, match="holds no Python file"):
        refuse_empty_dags(project)


END = "correct it on the branch; nothing was deployed, what ran before runs on"
IGNORE_FILES = {
    "stars": b"*a" * 400 + b"b\n",
    "doubled stars": b"**/" * 300 + b"*a*a*a*b\n",
    "many rules": b"**/b*\n" * (IGNORE_BYTES_MAX // 6),
    "blanks before no comment": b" " * IGNORE_BYTES_MAX,
    "a rule without end": b"[" * IGNORE_BYTES_MAX,
    "more than is read": b"*\n" * IGNORE_BYTES_MAX,
}


@pytest.mark.parametrize("patterns", IGNORE_FILES.values(), ids=IGNORE_FILES)
def test_ignore_files_excuse_nothing_by_being_slow(
    project: Path, patterns: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    deep = "/".join(["dags", *["a" * 20] * 20, "a.py"])
    write(project, {"dags/.airflowignore": patterns, deep: BROKEN})
    refusal, _ = check(project, caplog)
    assert refusal.startswith(f"{deep}:1:7:")


@pytest.mark.parametrize(
    "pattern", [b"^(a+)+$", b"(a|a)*b$", b"((a*)*)*b$", b"(" * 5_000, b"a{99999999999}", b"(?:a{9999}){9999}b"]
)
def test_regular_expressions_of_the_branch_end_with_their_process(
    project: Path, pattern: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, {"dags/.airflowignore": pattern + b"\n", f"dags/{'a' * 60}.py": BROKEN, "dags/z.py": BROKEN})
    refusal, warnings = check(project, caplog, ignore_syntax="regexp")
    assert "dags/z.py:1:7:" in refusal
    assert f"{'a' * 60}.py:1:" in refusal + "".join(warnings)


def test_the_outcome_of_a_deploy_tells_what_was_not_checked(stage: Stage) -> None:
    deployment_id = stage.make_deployment("dev-x")
    stage.push("dev-x")
    head = stage.push_more("dev-x", {"dags/large.py": "#" * (SOURCE_BYTES_MAX + 1)})
    run = stage.start_planned(Verb.DEPLOY, "dev-x", head, deployment_id)
    run.decide(ChangeType.DAGS, head, "")
    begun = time.monotonic()
    run.step("deploy")
    assert time.monotonic() - begun < SECONDS_MAX
    assert run.xcoms["deploy"]["return_value"]["said"].endswith(
        "; 1 changed Python files were not checked, the log says why"
    )
