"""Commands: what they see, how long they may take, what shows of them, and that nothing of them stays behind."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from include.deploy_ops.core.errors import PermanentError, RetryableError
from include.deploy_ops.process.command import Command, CommandResult, build_environment

SECRET = "s3cr/et+token=="  # noqa: S105 - an example
ROOT = Path(__file__).parents[3]


def run(script: str, tmp_path: Path, **options: object) -> CommandResult:
    settings: dict[str, object] = {"cwd": tmp_path, "env": {}, "timeout_s": 10.0, **options}
    return Command(["bash", "-c", script], **settings).run()  # type: ignore[arg-type]


def await_condition(is_true: object, within_s: float = 5.0) -> bool:
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        if is_true():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_exit_code_streams_and_lines_are_told(tmp_path: Path) -> None:
    lines: list[str] = []
    result = run("echo one; echo two >&2; printf three; exit 7", tmp_path, on_line=lines.append)
    assert (result.exit_code, result.stdout, result.stderr) == (7, "one\nthree", "two\n")
    assert sorted(lines) == ["one", "three", "two"]
    assert result.argv[0] == "bash"
    assert result.tail() == "one\nthree\ntwo"


def test_an_answer_is_read_as_it_is_and_told_masked(tmp_path: Path) -> None:
    lines: list[str] = []
    token = f"ghp_{'a1B2' * 9}"
    result = run(f"echo {token}; echo {token} >&2", tmp_path, on_line=lines.append, is_answer=True)
    assert sorted(lines) == ["***", token]
    assert (result.stdout, result.stderr, result.tail()) == (f"{token}\n", "***\n", "***\n***")


def test_an_answer_that_is_kept_has_its_secrets_and_no_text_has_them(tmp_path: Path) -> None:
    lines: list[str] = []
    result = run("echo name: true", tmp_path, on_line=lines.append, redact=["true"], keeps_answer=True)
    assert (result.answer, result.stdout, lines) == (b"name: true\n", "name: ***\n", ["name: ***"])
    assert "true" not in repr(result) + result.tail()
    assert run("echo name: true", tmp_path, redact=["true"]).answer == b""
    long = run("head -c 3000000 /dev/zero | tr '\\0' x; echo end", tmp_path, keeps_answer=True)
    assert (len(long.answer), long.answer[-4:]) == (1 << 20, b"end\n")


def test_bytes_are_given_as_they_come_and_nothing_of_them_is_kept(tmp_path: Path) -> None:
    taken: list[bytes] = []
    result = run(r"printf 'a\0\377\nsecret'; echo secret >&2", tmp_path, redact=["secret"], on_bytes=taken.append)
    assert b"".join(taken) == b"a\0\xff\nsecret"
    assert (result.stdout, result.stderr) == ("", "***\n")


def test_what_a_taker_of_bytes_raises_ends_the_command(tmp_path: Path) -> None:
    def refuse(_: bytes) -> None:
        raise ValueError("enough")

    begun = time.monotonic()
    with pytest.raises(ValueError, match="enough"):
        run("echo begun; sleep 60", tmp_path, on_bytes=refuse)
    assert time.monotonic() - begun < 20


def test_arguments_are_elements_and_never_a_shell_line(tmp_path: Path) -> None:
    result = Command(["printf", "%s", "$(id) ; 'x'"], cwd=tmp_path, env={}, timeout_s=10).run()
    assert result.stdout == "$(id) ; 'x'"


def test_environment_is_the_allow_list_and_what_the_caller_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "hidden")
    monkeypatch.setenv("ASTRO_API_TOKEN", "hidden")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    seen = run("env", tmp_path, env={"ASTRO_HOME": "/x"}).stdout
    assert "hidden" not in seen
    assert {"ASTRO_HOME=/x", "LC_ALL=C.UTF-8", "https_proxy=http://proxy:1"} <= set(seen.splitlines())


def test_extra_environment_wins_over_the_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/inherited")
    assert build_environment({"PATH": "/given"})["PATH"] == "/given"


def test_stdin_is_empty_unless_given(tmp_path: Path) -> None:
    assert run("cat", tmp_path).stdout == ""
    assert run("cat", tmp_path, stdin=b"hello").stdout == "hello"


def test_large_stdin_and_large_stdout_do_not_block_each_other(tmp_path: Path) -> None:
    assert run("cat | wc -c", tmp_path, stdin=b"x" * 3_000_000).stdout.strip() == "3000000"
    assert run("exec head -c 5", tmp_path, stdin=b"y" * 3_000_000).stdout == "yyyyy"


def test_there_is_no_terminal(tmp_path: Path) -> None:
    assert run("exec 3</dev/tty", tmp_path).exit_code != 0


def test_command_has_the_usual_signals(tmp_path: Path) -> None:
    assert run("kill -PIPE $$; echo survived", tmp_path).exit_code == -signal.SIGPIPE


def test_missing_executable_is_named_with_path(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match=r"`no-such-program` was not found.*PATH.*/nowhere"):
        Command(["no-such-program"], cwd=tmp_path, env={"PATH": "/nowhere"}, timeout_s=1).run()


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="there is no such folder"):
        run("true", tmp_path / "gone")


def test_relative_executable_is_searched_from_the_commands_folder(tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh\necho tool $1\n")
    script.chmod(0o755)
    assert Command(["./tool", "a"], cwd=tmp_path, env={}, timeout_s=10).run().stdout == "tool a\n"


def test_broken_executable_ends_with_a_reason(tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    result = Command(["./tool"], cwd=tmp_path, env={}, timeout_s=10).run()
    assert result.exit_code == 126
    assert "cannot be executed" in result.stderr


def test_time_limit_ends_the_whole_group_and_logs_the_last_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = "sleep 60 & echo $! > child; printf 'working\\033[31m\\n'; wait"
    with caplog.at_level("INFO"), pytest.raises(RetryableError, match=r"did not end within 0.5 s and was stopped\.$"):
        run(script, tmp_path, timeout_s=0.5)
    assert "said last:\nworking<U+001B>[31m" in caplog.text
    assert not is_running(int((tmp_path / "child").read_text()))


def test_kill_follows_where_term_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.deploy_ops.process.command._GRACE_S", 0.2)
    with pytest.raises(RetryableError, match="did not end"):
        run("trap '' TERM; echo $$ > own; while :; do sleep 0.1; done", tmp_path, timeout_s=0.5)
    assert not is_running(int((tmp_path / "own").read_text()))


def test_time_limit_holds_while_output_never_pauses(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="did not end"):
        run("yes", tmp_path, timeout_s=0.3)


def test_time_limit_holds_when_the_streams_are_closed(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="did not end"):
        run("exec >&- 2>&-; sleep 60", tmp_path, timeout_s=0.3)


def test_grandchild_that_holds_the_pipes_is_ended_and_hangs_nothing(tmp_path: Path) -> None:
    result = run("sleep 60 & echo $! > child; echo done", tmp_path)
    assert result.stdout == "done\n"
    assert result.seconds < 5
    assert not is_running(int((tmp_path / "child").read_text()))


def test_grandchild_in_a_session_of_its_own_hangs_nothing(tmp_path: Path) -> None:
    script = "setsid bash -c 'echo $$ > own; exec sleep 60' & until [ -s own ]; do sleep 0.01; done; echo done"
    result = run(script, tmp_path)
    own = int((tmp_path / "own").read_text())
    try:
        assert is_running(own)
        assert (result.stdout, result.seconds < 5) == ("done\n", True)
    finally:
        os.kill(own, signal.SIGKILL)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_any_exception_ends_the_group_and_passes(error: type[BaseException], tmp_path: Path) -> None:
    def fail(line: str) -> None:
        raise error(line)

    with pytest.raises(error, match="now"):
        run("echo $$ > own; echo now; sleep 60", tmp_path, on_line=fail)
    assert not is_running(int((tmp_path / "own").read_text()))


def test_end_from_another_thread_stops_the_run(tmp_path: Path) -> None:
    command = Command(["bash", "-c", "echo up; sleep 60"], cwd=tmp_path, env={}, timeout_s=30)
    timer = threading.Timer(0.3, command.end)
    timer.start()
    with pytest.raises(RetryableError, match=r"stopped on request\.$"):
        command.run()
    timer.join()


def test_end_from_a_line_is_safe_and_before_the_start_prevents_it(tmp_path: Path) -> None:
    command = Command(
        ["bash", "-c", "echo up; sleep 60"], cwd=tmp_path, env={}, timeout_s=30, on_line=lambda _: command.end()
    )
    with pytest.raises(RetryableError, match="on request"):
        command.run()
    early = Command(["touch", "made"], cwd=tmp_path, env={}, timeout_s=30)
    early.end()
    with pytest.raises(RetryableError, match="before it started"):
        early.run()
    assert not (tmp_path / "made").exists()


_RUN = """
import pathlib, sys
from include.deploy_ops.process.command import Command
from include.deploy_ops.process.confinement import Sight
here = pathlib.Path(sys.argv[1])
sight = Sight(writes=(here,)) if sys.argv[2] else None
command = "sleep 60 & echo $! > child; echo $$ > own; wait"
try:
    Command(["bash", "-c", command], cwd=here, env={}, timeout_s=60, sight=sight).run()
except Exception as error:
    (here / "error").write_text(str(error))
"""
_RUN_BELOW = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True)"
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with a killed parent")


def find_sleeping(folder: Path) -> list[psutil.Process]:
    """Return what runs there of the command: not the Python that called it, nor what stands before it."""
    return [
        each
        for each in psutil.process_iter(["cwd", "name"])
        if each.info["cwd"] == str(folder) and each.info["name"] in {"bash", "sleep"}
    ]


@only_linux
@pytest.mark.parametrize("confined", ["", "confined"])
def test_command_and_its_children_die_when_we_are_killed(confined: str, tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _RUN, str(tmp_path), confined], cwd=ROOT)
    try:
        assert await_condition(lambda: (tmp_path / "own").exists() and len(find_sleeping(tmp_path)) == 2)
    finally:
        parent.kill()
        parent.wait()
    assert await_condition(lambda: not find_sleeping(tmp_path))


@only_linux
def test_command_is_ended_when_the_parent_of_our_process_is_killed(tmp_path: Path) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", _RUN_BELOW, _RUN, str(tmp_path), ""], cwd=ROOT)
    try:
        assert await_condition(lambda: (tmp_path / "own").exists() and len(find_sleeping(tmp_path)) == 2)
    finally:
        supervisor.kill()
        supervisor.wait()
    assert await_condition(lambda: not find_sleeping(tmp_path))
    assert await_condition((tmp_path / "error").exists)
    assert "the process that started this one died" in (tmp_path / "error").read_text()


def test_no_file_descriptor_stays_open(tmp_path: Path) -> None:
    run("true", tmp_path)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        run("cat", tmp_path, stdin=b"x")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_every_spelling_of_a_secret_is_redacted(spelling: str, tmp_path: Path) -> None:
    lines: list[str] = []
    result = run(f"echo 'a {spelling} b'", tmp_path, redact=[SECRET], on_line=lines.append)
    assert spelling.rstrip("=") not in result.stdout + lines[0] + " ".join(result.argv)
    assert "***" in lines[0]


def test_a_line_of_a_many_line_secret_is_redacted(tmp_path: Path) -> None:
    key = "-----BEGIN KEY-----\nMIIEvgIBADANBgkq\n-----END KEY-----\n"
    assert run("echo MIIEvgIBADANBgkq", tmp_path, redact=[key]).stdout == "***\n"


def test_secret_does_not_show_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(RetryableError) as caught:
        run(f"echo {SECRET}; sleep 60", tmp_path, redact=[SECRET], timeout_s=0.3)
    assert SECRET not in str(caught.value)


def test_secret_at_the_cut_of_an_endless_line_is_redacted(tmp_path: Path) -> None:
    script = "import sys\nfor _ in range(9000): sys.stdout.write('x' * 37 + sys.argv[1])"
    argv = [sys.executable, "-c", script, SECRET]
    lines: list[str] = []
    result = Command(argv, cwd=tmp_path, env={}, timeout_s=10, redact=[SECRET], on_line=lines.append).run()
    assert len(lines) > 1
    assert result.stdout.replace("***", "").strip("x") == ""
    assert result.stdout.count("***") == 9000


def test_memory_is_bounded_and_the_end_is_kept(tmp_path: Path) -> None:
    result = run("seq 1 600000; echo the end", tmp_path, timeout_s=60)
    assert len(result.stdout) <= 1 << 20
    assert result.stdout.endswith("600000\nthe end\n")


def test_undecodable_and_divided_characters(tmp_path: Path) -> None:
    assert (
        run(r"printf '\xff\n'; printf '\xc3'; sleep 0.2; printf '\xa4'", tmp_path).stdout
        == "\N{REPLACEMENT CHARACTER}\nä"
    )


def test_carriage_return_is_not_part_of_a_line(tmp_path: Path) -> None:
    lines: list[str] = []
    run(r"printf 'one\r\n'", tmp_path, on_line=lines.append)
    assert lines == ["one"]
