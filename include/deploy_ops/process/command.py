"""Run one command: allow-listed environment, limits, confinement, redaction, and an end that takes its group along.

It does not know what the command is for: callers give the arguments and judge the exit code.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from include.deploy_ops.core.errors import PermanentError, RetryableError
from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.process import confinement
from include.deploy_ops.process.redaction import RedactedStream, list_forms, redact_shapes, replace_forms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from include.deploy_ops.process.confinement import Sight

_LOG = logging.getLogger(__name__)

_INHERITED_NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
        *("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_CONFIG", "DOCKER_CONTEXT"),
        *("CONTAINER_HOST", "CONTAINER_SSHKEY", "CONTAINER_CONNECTION", "REGISTRY_AUTH_FILE"),
    }
)
_INHERITED_PREFIXES = ("LC_", "CONTAINERS_")

_READ_BYTES = 1 << 16
_ANSWER_BYTES = 1 << 20
_TICK_S = 0.2  # between looks at the exit code while the pipes are silent, and at `end()`
_GRACE_S = 5.0  # between TERM and KILL
_LEFTOVER_GRACE_S = 0.5  # the same for what a command that ended by itself left behind
_SIGNALLED = 128  # bubblewrap adds a signal's number to it, as a shell does
_DRAIN_S = 1.0  # for reading what a command left in its pipes, when something else holds them open

# Runs between fork and the command: asks Linux to end the command when we die, SIGKILL included. A preexec_fn would do
# the same but may deadlock, since Airflow's processes have threads. The kernel sends the signal when the *thread* that
# forked ends; that is the one that waits in `Command.run`. The second look at the parent closes the window in which we
# died before asking. What is confined dies whole with bubblewrap, so this becomes the command; otherwise it stays
# before it as the leader of its group, since a killed command's own children would live on: told that we died, it ends
# the group, and else it ends as the command did. Python ignores SIGPIPE and SIGXFSZ, the command must not.
_DIE_WITH_PARENT = """
import ctypes, os, resource, signal, sys
def ask(number, parent):
    ctypes.CDLL(None).prctl(1, number, 0, 0, 0)
    if os.getppid() != parent:
        os.killpg(0, signal.SIGKILL)
parent, limits, ends_whole, *argv = sys.argv[1:]
parent = int(parent)
if not ends_whole:
    signal.signal(signal.SIGUSR1, lambda *_: os.killpg(0, signal.SIGKILL))
    ask(signal.SIGUSR1, parent)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent = os.getpid()
    child = os.fork()
    if child:
        os.closerange(0, 3)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code >= 0:
            os._exit(code)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(parent, -code)
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
ask(signal.SIGKILL, parent)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
for name, most in (limit.split("=") for limit in limits.split()):
    hard = resource.getrlimit(getattr(resource, name))[1]
    most = int(most) if hard == resource.RLIM_INFINITY else min(int(most), hard)
    resource.setrlimit(getattr(resource, name), (most, most))
try:
    os.execv(argv[0], argv)
except OSError as error:
    sys.stderr.write(f"{argv[0]} cannot be executed: {error}\\n")
    sys.stderr.flush()
    os._exit(126)
"""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What a command and each of its children may use at the most; the kernel sees to it (setrlimit(2)).

    `memory_bytes` is address space, not what is touched: a Go program reserves much more than it uses, and the Astro
    CLI dies with 1 GiB. `file_bytes` is the largest file that may be written, `open_files` counts descriptors.
    """

    memory_bytes: int
    file_bytes: int
    open_files: int = 1024

    def __str__(self) -> str:
        every = {"RLIMIT_AS": self.memory_bytes, "RLIMIT_FSIZE": self.file_bytes, "RLIMIT_NOFILE": self.open_files}
        return " ".join(f"{name}={most}" for name, most in every.items())


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended.

    `stdout` and `stderr` are redacted text, the last 2^20 characters of each stream at most; undecodable bytes show as
    U+FFFD. `exit_code` is negative when a signal ended the command, as `subprocess` has it. `answer` is stdout as it
    came, its last 2^20 bytes, where the caller asked for it: for reading a document, never for a text.
    """

    argv: tuple[str, ...]
    exit_code: int
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    seconds: float
    answer: bytes = field(repr=False, default=b"")

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of stdout and then of stderr, at most `lines` of each, for an error's text."""
        said = "\n".join(
            line for text in (self.stdout, self.stderr) for line in text.splitlines()[-lines:] if line.strip()
        )
        return redact_shapes(said)


def build_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return what a command may see of our environment, with `extra` laid over it.

    Everything that is not on the allow-list stays behind, so no secret of Airflow's reaches a command by chance.
    """
    inherited = {name: value for name, value in os.environ.items() if _is_inherited(name)}
    return {**inherited, **extra}


@dataclass(eq=False, repr=False)
class Command:
    """One command, to be run once, which another thread or a signal handler can end.

    :param argv: the command and its arguments, each as the command shall see it; no shell is involved.
    :param cwd: the folder to run in.
    :param env: laid over what `build_environment` lets through.
    :param timeout_s: seconds until the command's process group is ended.
    :param redact: secrets that must show in no line, result or error.
    :param stdin: what the command reads; without it, it reads from /dev/null.
    :param on_line: called in the running thread with each redacted line of stdout and stderr as it comes; what it
        raises ends the command and passes through.
    :param limits: what the kernel lets it use; none by default. On Linux only.
    :param is_answer: stdout is for us to read: what merely looks like a token stays in it, or a file's name could
        change what is read. `CommandResult.tail` hides it.
    :param on_bytes: called likewise with stdout as it comes, which is no text then: nothing of it is redacted or kept.
    :param keeps_answer: keep stdout as it comes, too: where secrets are plain words, a document is none without them.
    :param sight: what of this worker's files it sees, `cwd` among it, where the worker allows that; by default, what
        its user sees.
    """

    argv: Sequence[str]
    _: KW_ONLY
    cwd: Path
    env: Mapping[str, str]
    timeout_s: float
    redact: Sequence[str] = ()
    stdin: bytes | None = None
    on_line: Callable[[str], None] | None = None
    limits: ProcessLimits | None = None
    is_answer: bool = False
    on_bytes: Callable[[bytes], None] | None = None
    keeps_answer: bool = False
    sight: Sight | None = None

    def __post_init__(self) -> None:
        self._environment = build_environment(self.env)
        self._forms = list_forms(self.redact)
        self._unsent = memoryview(self.stdin or b"")
        self._stdout = RedactedStream(self._forms, hides_shapes=not self.is_answer)
        self._stderr = RedactedStream(self._forms)
        self._answer = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ending = False
        self._parent = 0
        self._is_confined = False
        self._name = replace_forms(shlex.join(self.argv[:3]), self._forms)

    def run(self) -> CommandResult:
        """Run the command and everything it starts to the end.

        :raises PermanentError: `cwd` does not exist.
        :raises RetryableError: this worker has no such executable, the time limit passed, `end` was called, or the
            parent of our process died.
        """
        started = time.monotonic()
        self._parent = os.getppid()
        try:
            process = self._start()
            is_late = not self._follow(process, started + self.timeout_s)
        finally:
            self._clear()
        result = self._build_result(process, time.monotonic() - started)
        if not (self._is_ending or is_late):
            return result
        _LOG.info("%s said last:\n%s", self._name, reveal(result.tail()))  # its error goes to people outside
        if self._is_ending:
            raise RetryableError(f"`{self._name}` was stopped on request.")
        if self._is_orphaned:
            raise RetryableError(
                f"`{self._name}` was stopped: the process that started this one died, so nobody waits for it any more."
            )
        raise RetryableError(f"`{self._name}` did not end within {self.timeout_s:g} s and was stopped.")

    def end(self) -> None:
        """Ask the running group to end, and return at once; `run` then sees to it, by KILL if need be, and raises.

        Takes no lock, so it may be called from a signal handler that interrupts `run`. Before `run`, it prevents it.
        """
        self._is_ending = True
        process = self._process
        if process is not None and process.returncode is None:
            _signal_group(process.pid, signal.SIGTERM)

    def _start(self) -> subprocess.Popen[bytes]:
        if self._is_ending:
            raise RetryableError(f"`{self._name}` was stopped on request before it started.")
        executable = self._find_executable()
        self._process = subprocess.Popen(  # noqa: S603 - the caller's argv, no shell
            self._wrap([*self._confine(executable), executable, *self.argv[1:]]),
            cwd=self.cwd,
            env=self._environment,
            stdin=subprocess.PIPE if self.stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        return self._process

    def _find_executable(self) -> str:
        if not self.cwd.is_dir():
            raise PermanentError(f"`{self._name}` cannot run in {self.cwd}: there is no such folder.")
        search = self._environment.get("PATH", os.defpath)
        name = self.argv[0]
        found = shutil.which(os.path.join(self.cwd, name) if os.sep in name else name, path=search)  # noqa: PTH118
        if found is None:
            raise RetryableError(
                f"The executable `{name}` was not found. Install it, or put its folder in PATH, which is: {search}"
            )
        return os.path.abspath(found)  # noqa: PTH100 - a link must be run by its own name

    def _confine(self, executable: str) -> list[str]:
        if self.sight is None:
            return []
        before = confinement.find_protection().confine(self.sight, executable, self.cwd, self._environment)
        self._is_confined = bool(before)
        return before

    def _wrap(self, argv: list[str]) -> list[str]:
        if sys.platform != "linux":  # elsewhere a SIGKILL of ours leaves the command to its own end
            return argv
        told = (str(os.getpid()), "" if self.limits is None else str(self.limits), "1" if self._is_confined else "")
        return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, *told, *argv]

    def _follow(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        """Wait for the command while moving its bytes; return False if it has to be ended instead."""
        with selectors.DefaultSelector() as selector:
            self._register(selector, process)
            while _has_streams(selector) and process.poll() is None and not self._is_over(deadline):
                self._move_ready(selector, min(_TICK_S, deadline - time.monotonic()))
            while process.poll() is None and not self._is_over(deadline):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, min(_TICK_S, deadline - time.monotonic())))
            if process.returncode is not None:
                self._drain(selector)
        for stream in (self._stdout, self._stderr):
            self._tell(stream.finish())
        return process.returncode is not None

    def _is_over(self, deadline: float) -> bool:
        return self._is_ending or self._is_orphaned or time.monotonic() >= deadline

    @property
    def _is_orphaned(self) -> bool:
        """Whether whoever supervises us died, as when a worker is killed: Airflow soon has another do the same."""
        return os.getppid() != self._parent

    def _drain(self, selector: selectors.BaseSelector) -> None:
        """Read what is in the pipes already; something that the command left behind may hold them open for ever."""
        give_up = time.monotonic() + _DRAIN_S
        while _has_streams(selector) and time.monotonic() < give_up and self._move_ready(selector, 0.0):
            pass

    def _move_ready(self, selector: selectors.BaseSelector, timeout_s: float) -> bool:
        ready = selector.select(max(0.0, timeout_s))
        for key, _ in ready:
            self._move(selector, key)
        return bool(ready)

    def _register(self, selector: selectors.BaseSelector, process: subprocess.Popen[bytes]) -> None:
        for pipe, stream in ((process.stdout, self._stdout), (process.stderr, self._stderr)):
            selector.register(_unblock(pipe), selectors.EVENT_READ, stream)
        if self.stdin is not None:
            selector.register(_unblock(process.stdin), selectors.EVENT_WRITE)

    def _move(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        if not isinstance(key.data, RedactedStream):
            self._feed(selector, key)
        elif data := os.read(key.fd, _READ_BYTES):
            if self.on_bytes is not None and key.data is self._stdout:
                self.on_bytes(data)
                return
            if self.keeps_answer and key.data is self._stdout:
                self._answer = (self._answer + data)[-_ANSWER_BYTES:]
            self._tell(key.data.take(data))
        else:
            selector.unregister(key.fileobj)

    def _feed(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        # A command need not read all that it is offered, as `head` does not: that is no error.
        with contextlib.suppress(BrokenPipeError):
            if self._unsent:
                self._unsent = self._unsent[os.write(key.fd, self._unsent) :]
                return
        selector.unregister(key.fileobj)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _tell(self, lines: Iterator[str]) -> None:
        for line in lines:
            if self.on_line is not None:
                self.on_line(line)

    def _clear(self) -> None:
        if self._process is not None:
            _end_group(self._process)
            _close_pipes(self._process)

    def _build_result(self, process: subprocess.Popen[bytes], seconds: float) -> CommandResult:
        argv = tuple(replace_forms(word, self._forms) for word in self.argv)
        code = process.returncode
        exit_code = _SIGNALLED - code if self._is_confined and code > _SIGNALLED else code
        return CommandResult(argv, exit_code, self._stdout.text, self._stderr.text, seconds, self._answer)


def _has_streams(selector: selectors.BaseSelector) -> bool:
    return any(isinstance(key.data, RedactedStream) for key in selector.get_map().values())


def _is_inherited(name: str) -> bool:
    return name in _INHERITED_NAMES or name.startswith(_INHERITED_PREFIXES)


def _unblock(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError("every stream was asked for as a pipe")
    os.set_blocking(pipe.fileno(), False)
    return pipe


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End whatever is left of the command's process group: TERM, and KILL for what outlives the grace."""
    grace_s = _GRACE_S if process.poll() is None else _LEFTOVER_GRACE_S
    is_alive = _signal_group(process.pid, signal.SIGTERM)
    give_up = time.monotonic() + grace_s
    pause_s = 0.001  # what was confined dies with its leader, at once
    try:
        while is_alive and time.monotonic() < give_up:
            process.poll()  # reaps the leader, which would count as alive otherwise
            time.sleep(pause_s)  # nothing can be awaited here: the others are not our children
            pause_s = min(2 * pause_s, 0.01)
            is_alive = _has_living(process.pid)
    finally:  # also when a second Ctrl-C cuts the grace short
        if is_alive:
            _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _has_living(group: int) -> bool:
    """Whether the group holds more than zombies: orphans that nobody reaps yet are dead, though signals reach them."""
    if not _signal_group(group, 0):
        return False
    states = [state for state, its_group in map(_read_state, Path("/proc").glob("[0-9]*/stat")) if its_group == group]
    return not states or any(state != "Z" for state in states)  # without /proc, the signal's word stands


def _read_state(stat: Path) -> tuple[str, int]:
    """Return a process's state letter and group from its /proc/<pid>/stat (proc(5)); of one that is gone, none."""
    try:
        state, _, group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    return state, int(group)


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
