"""What is refused of a deploy's DAG files, what is only warned of, and what is nobody's business."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.checkout import dag_check, dag_probe
from include.deploy_ops.checkout.dag_check import check_dags
from include.deploy_ops.checkout.ruff import NEWEST_PYTHON, RuffFailedError, ask_ruff
from include.deploy_ops.core.errors import PermanentError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Mapping

FINE = b"x = 1\n"
BROKEN = b"x = 1\ndef f(:\n"
OLD_ROOT = b"from airflow.operators.dummy_operator import DummyOperator\nDummyOperator(task_id='a')\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dags").mkdir()
    return tmp_path


def write(project: Path, files: Mapping[str, bytes | str]) -> None:
    for name, content in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def check(project: Path, caplog: pytest.LogCaptureFixture, **options: object) -> list[str]:
    """Check all files, and return the warnings."""
    with caplog.at_level(logging.WARNING, logger=dag_check.__name__):
        check_dags(project, None, **options)  # type: ignore[arg-type]  # options of several types
    return [record.getMessage() for record in caplog.records]


BROKEN_SOURCES: list[tuple[bytes, str]] = [
    (b"print((1)\n", r"1:6: '\(' was never closed"),
    (b"x = 1\ndef f()\n    pass\n", "2:8: expected ':'"),
    (b"def f():\npass\n", "2:1: expected an indented block after function definition on line 1"),
    (b"if 1:\n\tx = 1\n        y = 2\n", "3:1: inconsistent use of tabs"),
    (b"<<<<<<< HEAD\nx = 1\n=======\n", "1:1: invalid syntax"),
    ("x = \u2018a\u2019\n".encode(), r"1:5: invalid character '\u2018'"),
    (b"print 'a'\n", "1:1: Missing parentheses in call to 'print'"),
    (b"password = 'hunter2\n", r"1:12: unterminated string literal \(detected at line 1\)$"),  # the line is not told
    # What Ruff's parser, or Ruff altogether, takes for fine:
    (b"x = 1\nreturn 1\n", "2:1: 'return' outside function"),
    (b"async def f():\n    yield 1\n    return 2\n", "3:5: 'return' with value in async generator"),
    (b"x = 1\ny = '\0'\n", "2:1: source code string cannot contain null bytes"),
    (b"x = 1\ny = '\xe9'\n", r"2:\d+: \(unicode error\) 'utf-8' codec can't decode"),
    ("x = 1\n".encode("utf-16"), "1:1: source code string cannot contain null bytes"),
    (b"# coding: nope\nx = 1\n", "1:1: unknown encoding: nope"),
    (b"\xef\xbb\xbf# coding: latin-1\nx = 1\n", "1:1: encoding problem: iso-8859-1 with BOM"),
    (b"(" * 300 + b")" * 300, r"1:201: too many nested parentheses"),
    # `noqa` silences a linter, not Python.
    (b"# ruff: noqa\nreturn 1  # noqa\n", "2:1: 'return' outside function"),
]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Check all broken sources at once; give what was found by file."""
    project = tmp_path_factory.mktemp("broken")
    write(project, {f"dags/{number}.py": source for number, (source, _) in enumerate(BROKEN_SOURCES)})
    found = dag_check._Check(project, "glob")
    found.run([f"dags/{number}.py" for number in range(len(BROKEN_SOURCES))])
    return {finding.path: str(finding) for finding in found.broken}


@pytest.mark.parametrize(("number", "said"), list(enumerate(said for _, said in BROKEN_SOURCES)))
def test_broken_file_is_found_with_its_place(broken: dict[str, str], number: int, said: str) -> None:
    assert re.match(rf"dags/{number}\.py:{said}", broken[f"dags/{number}.py"])


def test_broken_file_is_refused(project: Path) -> None:
    write(project, {"dags/sub/a b.py": BROKEN})
    with pytest.raises(PermanentError, match=r"^dags/sub/a b.py:2:7: invalid syntax;\ncorrect it on the branch"):
        check_dags(project, None)


FINE_SOURCES = [
    b"",
    b"\xef\xbb\xbfx = 1\n",
    b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
    b"# coding: utf-7\nx = '+AOk-'\n",
    b"x = 1\r\ny = 2\ry = 3",
    b"x = {{ a }}\n",
    b"raise SystemExit\n",  # nothing is run
    b"with (open('a') as a, open('b') as b): pass\n",
]


def test_what_python_reads_is_fine(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(project, {f"dags/{number}.py": source for number, source in enumerate(FINE_SOURCES)})
    assert check(project, caplog) == []


NEWER = {
    f"Python 3.{minor}": source
    for minor, source in [
        (12, b"def f[T](a: T) -> T:\n    return a\n"),
        (12, b"def f(a):\n    return f'{a['b']}'\n"),
        (13, b"type X[T = int] = list[T]\n"),
        (14, b"def f(a):\n    return t'{a}'\n"),
        (14, b"try:\n    pass\nexcept A, B:\n    pass\n"),
        (15, b"x = [*y for y in []]\n"),
    ]
    if sys.version_info < (3, minor)
}


def test_what_only_a_newer_python_reads_is_let_through(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(project, {f"dags/{number}.py": source + OLD_ROOT for number, source in enumerate(NEWER.values())})
    told = check(project, caplog)
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for number, line in enumerate(told[: len(NEWER)]):
        assert line.startswith(f"dags/{number}.py:")
        assert f"let through: newer than this worker's Python {ours}, the Runtime's must read it" in line
    assert sum("AIR302" in line for line in told[len(NEWER) :]) == len(NEWER)


@pytest.mark.parametrize("source", NEWER.values(), ids=NEWER)
@pytest.mark.parametrize(
    ("error", "said"), [(b"def g(:\n", "Expected a parameter"), (b"return 1\n", "`return` statement outside")]
)
def test_newer_syntax_hides_no_error(project: Path, source: bytes, error: bytes, said: str) -> None:
    """Ours stops at the newer syntax; the place told is that of the real error."""
    write(project, {"dags/a.py": source + error})
    line = source.count(b"\n") + 1
    with pytest.raises(PermanentError, match=rf"^dags/a.py:{line}:\d+: .*{said}"):
        check_dags(project, None)


def test_newest_python_is_the_newest_that_ruff_knows(project: Path) -> None:
    write(project, {"dags/a.py": FINE})
    assert ask_ruff(project, ["dags/a.py"], "AIR", python=NEWEST_PYTHON, timeout_s=20) == []
    with pytest.raises(RuffFailedError, match=r"possible values: .*py315"):
        ask_ruff(project, ["dags/a.py"], "AIR", python=(3, NEWEST_PYTHON[1] + 1), timeout_s=20)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"-" * 100_000 + b"1\n", "MemoryError"),
        (b"+".join([b"1"] * 20_000) + b"\n", "RecursionError"),
        (b"#" * (dag_probe.SOURCE_BYTES_MAX + 1), "it is larger than 1 MiB"),
    ],
)
def test_what_exhausts_the_compiler_is_let_through(
    project: Path, source: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, {"dags/a.py": source, "dags/b.py": OLD_ROOT})
    warnings = check(project, caplog)
    assert warnings[0].startswith(f"dags/a.py:1:1: not checked: {said}")


def test_compiler_that_dies_costs_one_file(
    project: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = Path(dag_probe.__file__).read_text().replace("parents[3]", f"joinpath({str(Path.cwd())!r})")
    death = "    if b'die' in path.read_bytes():\n        __import__('os').abort()\n"
    probe = tmp_path / "probe.py"
    probe.write_text(text.replace("    try:\n        source", f"{death}    try:\n        source", 1))
    monkeypatch.setattr(dag_probe, "__file__", str(probe))
    write(project, {"dags/a.py": b"die\n", "dags/b.py": BROKEN})
    with caplog.at_level(logging.WARNING), pytest.raises(PermanentError, match=r"^dags/b.py:2:\d+: invalid syntax"):
        check_dags(project, None)
    assert "dags/a.py:1:1: not checked, the compiler gave up on it: exit code -6" in caplog.text
    caplog.clear()
    write(project, {f"dags/{number}.py": b"die\n" for number in range(8)})
    (project / "dags/b.py").unlink()
    assert check(project, caplog)[-1].startswith("4 more changed files were not checked: the compiler gave up")


def test_endless_compiling_is_cut(
    project: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dag_check, "TIME_LIMIT_S", 0.0)
    write(project, {"dags/a.py": BROKEN})
    (warning,) = check(project, caplog)
    assert warning == "dags/a.py:1:1: not checked, the compiler gave up on it: all together took longer than 0 s"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"x = '\\d'\n", r"dags/a.py:1:1: invalid escape sequence '\d'"),
        (b"x = 1\nx is 1\n", 'dags/a.py:2:1: "is" with a literal'),
        (OLD_ROOT, "dags/a.py:2:1: AIR302 `airflow.operators.dummy_operator.DummyOperator` is moved"),
    ],
)
def test_what_python_and_ruff_warn_of_is_told(
    project: Path, source: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, {"dags/a.py": source})
    assert check(project, caplog)[0].startswith(said)


def test_noqa_silences_ruffs_rules_and_the_projects_settings_turn_nothing(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = "[lint]\nexclude = ['*']\nignore = ['AIR']\n"
    write(project, {"dags/a.py": OLD_ROOT, "ruff.toml": settings, "dags/ruff.toml": settings})
    assert len(check(project, caplog)) == 1
    caplog.clear()
    write(project, {"dags/a.py": OLD_ROOT.replace(b"')\n", b"')  # noqa: AIR302\n")})
    assert check(project, caplog) == []


def test_only_what_changed_is_looked_at(project: Path) -> None:
    write(project, {"dags/old.py": BROKEN, "dags/new.py": FINE, "dags/gone.txt": BROKEN, "include/x.py": BROKEN})
    check_dags(project, {"dags/new.py", "dags/gone.py", "dags/gone.txt", "dags/sub"})
    check_dags(project, frozenset())
    with pytest.raises(PermanentError, match=r"^dags/old.py:2:"):
        check_dags(project, {"dags/new.py", "dags/old.py"})


def test_unknown_change_means_every_file_below_dags(project: Path) -> None:
    write(project, {"dags/deep/er/a.py": BROKEN, "include/x.py": BROKEN, "dags/a.txt": BROKEN})
    with pytest.raises(PermanentError, match=r"dags/deep/er/a.py") as raised:
        check_dags(project, None)
    assert "include/x.py" not in str(raised.value)


def test_many_broken_files_are_counted(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_check, "_JUDGED_MAX", 1)
    write(project, {f"dags/{number:02}.py": BROKEN for number in range(8)})
    with pytest.raises(PermanentError, match=r"dags/04.py:2:\d+: invalid syntax;\nand 3 more;\ncorrect") as raised:
        check_dags(project, None)
    assert "dags/05.py" not in str(raised.value)


def test_first_deploy_is_only_warned(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(project, {"dags/a.py": BROKEN, "dags/b.py": OLD_ROOT})
    assert check(project, caplog, refuses=False)[0].startswith("dags/a.py:2:7: invalid syntax")


NAMES = ["-x.py", "a\nb.py", "caf\udce9.py", "é.py", "$(x);'.py", "a.py\n.py", "@file.py"]


def test_names_are_names(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    changed = [f"dags/{name}" for name in NAMES]
    write(project, dict.fromkeys(changed, BROKEN))
    found = dag_check._Check(project, "glob")
    found.run(changed)
    assert [finding.path for finding in found.broken] == changed
    assert all("\n" not in str(finding) for finding in found.broken)
    write(project, dict.fromkeys(changed, OLD_ROOT))
    assert len(check(project, caplog)) == sum(name.isprintable() for name in NAMES)  # Ruff cannot tell the others


def test_links_are_followed_within_the_project_alone(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "x.py"
    outside.write_bytes(BROKEN)
    write(project, {"include/x.txt": BROKEN})
    (project / "dags/out.py").symlink_to(outside)
    (project / "dags/nowhere.py").symlink_to("missing")
    (project / "dags/circle.py").symlink_to("circle.py")
    (project / "dags/folder.py").symlink_to("../include")
    check_dags(project, None)
    (project / "dags/in.py").symlink_to("../include/x.txt")
    with pytest.raises(PermanentError, match=r"^dags/in.py:2:"):
        check_dags(project, None)


@pytest.mark.parametrize(
    ("files", "path", "is_ignored"),
    [
        ({".airflowignore": "templates/\n"}, "templates/a.py", True),
        ({".airflowignore": "templates/\n"}, "templates.py", False),
        ({".airflowignore": "*_draft.py  # half done\n"}, "sub/a_draft.py", True),
        ({".airflowignore": "# a.py\n\n"}, "a.py", False),
        ({".airflowignore": "sub/*\n!sub/a.py\n"}, "sub/a.py", False),
        ({".airflowignore": "sub/\n!sub/a.py\n"}, "sub/a.py", True),
        ({"sub/.airflowignore": "a.py\n"}, "sub/a.py", True),
        ({"sub/.airflowignore": "a.py\n"}, "sub/deep/a.py", True),
        ({"sub/.airflowignore": "/a.py\n"}, "sub/deep/a.py", False),
        ({"sub/.airflowignore": "deep/a.py\n"}, "sub/deep/a.py", True),
        ({"sub/.airflowignore": "a.py\n"}, "a.py", False),
        ({".airflowignore": "a.py\n", "sub/.airflowignore": "!a.py\n"}, "sub/a.py", False),
        ({"s*/.airflowignore": "a.py\n"}, "sub/a.py", False),
        ({"s*/.airflowignore": "a.py\n"}, "s*/a.py", True),
        ({"../.airflowignore": "*\n"}, "a.py", False),
        ({".airflowignore": "a.py\r\n"}, "a.py", True),
        ({".airflowignore": b"\xff\n"}, "a.py", False),
    ],
)
def test_airflowignore_is_read_as_airflow_reads_it(
    project: Path, files: Mapping[str, bytes | str], path: str, is_ignored: bool
) -> None:
    write(project, {f"dags/{name}": content for name, content in files.items()} | {f"dags/{path}": BROKEN})
    assert is_ignored is not is_parsed_by_airflow(project, path)
    assert bool(dag_probe.Airflowignore(project, "glob").find_rule(f"dags/{path}")) is is_ignored


@pytest.mark.parametrize("syntax", ["glob", "regexp"])
def test_what_airflow_does_not_parse_is_only_warned_of(
    project: Path, syntax: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, {"dags/sub/.airflowignore": "draft\n", "dags/sub/draft/a.py": BROKEN, "dags/b.py": FINE})
    (warning,) = check(project, caplog, ignore_syntax=syntax)
    pattern = {"glob": "sub/**/draft", "regexp": "draft"}[syntax]
    said = f"let through: .airflowignore excludes it by '{pattern}'"
    assert warning == f"dags/sub/draft/a.py:2:7: invalid syntax; {said}"


def is_parsed_by_airflow(project: Path, path: str) -> bool:
    """Ask Airflow's own discovery, as far as it can read the file at all."""
    from airflow._shared.module_loading import find_path_from_directory

    try:
        found = set(find_path_from_directory(str(project / "dags"), ".airflowignore", "glob"))
    except UnicodeDecodeError:
        return True
    return str(project / "dags" / path) in found


@pytest.mark.parametrize(
    ("pattern", "path", "is_ignored"),
    [
        ("templ.*/", "templates/a.py", True),
        ("[", "a.py", False),
        ("a\\.py$", "sub/a.py", True),
        ("*.py", "a.py", False),
    ],
)
def test_airflow_2_reads_regular_expressions(project: Path, pattern: str, path: str, is_ignored: bool) -> None:
    write(project, {"dags/.airflowignore": f"{pattern}\n", f"dags/{path}": BROKEN})
    assert bool(dag_probe.Airflowignore(project, "regexp").find_rule(f"dags/{path}")) is is_ignored


def test_ignore_file_that_leaves_the_project_is_not_read(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "patterns"
    outside.write_text("*\n")
    write(project, {"dags/a.py": BROKEN})
    (project / "dags/.airflowignore").symlink_to(outside)
    with pytest.raises(PermanentError):
        check_dags(project, None)


def test_without_ruff_only_a_broken_file_is_a_problem(
    project: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: "/nonexistent")
    monkeypatch.setenv("PATH", "/nonexistent")
    write(project, {"dags/a.py": OLD_ROOT})
    (warning,) = check(project, caplog)
    assert warning.startswith("Ruff's Airflow rules were not checked: The executable `ruff` was not found. Install it")
    write(project, {"dags/b.py": BROKEN})
    with pytest.raises(RetryableError, match=r"(?s)^dags/b.py:2:\d+: .* Ruff has to tell: The executable `ruff` was"):
        check_dags(project, None)


def test_a_changed_submodule_means_every_file_in_it(project: Path) -> None:
    write(project, {"dags/lib/sub/a.py": BROKEN, "dags/other.py": BROKEN})
    with pytest.raises(PermanentError, match=r"^dags/lib/sub/a.py:\d+:\d+: (?s:(?!other).)*$"):
        check_dags(project, {"dags/lib"})


def test_probe_runs_alone(project: Path) -> None:
    """It is started without site packages and by whatever Python runs the task."""
    write(project, {"dags/a.py": BROKEN})
    argv = [sys.executable, "-I", "-S", dag_probe.__file__, str(project), "glob", "9"]
    ran = subprocess.run(argv, input=b"dags/a.py", capture_output=True, check=True, cwd=project)
    assert b'"ignored_by": null' in ran.stdout
    assert not (project / "dags/__pycache__").exists()
