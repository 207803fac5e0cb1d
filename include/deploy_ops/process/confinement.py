"""Which protection of the worker's files holds for a child, found out by trying it once, and how it is put on.

Bubblewrap (bwrap(1)) gives a child a file system of its own by Linux's user namespaces, without root. There are the
system's programs and what the caller names; not there are other folders, other processes, and whoever waits for them:
what the child leaves behind ends with it. The network stays, unless the caller wants none.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Named one by one: with all of /usr came /usr/local/airflow, where Astro Runtime keeps its project, and with all of
# /etc the machine's keys. What a worker does not have is left out.
_PROGRAMS = ("bin", "lib", "lib32", "lib64", "libexec", "share")
_SYSTEM = (
    *(f"/usr/{name}" for name in _PROGRAMS),
    *(f"/{name}" for name in ("bin", "lib", "lib32", "lib64")),
    *(f"/usr/local/{name}" for name in ("bin", "lib", "share/ca-certificates")),
    *(f"/etc/{name}" for name in ("alternatives", "crypto-policies", "ld.so.cache", "localtime")),
    *(f"/etc/{name}" for name in ("gai.conf", "host.conf", "hosts", "nsswitch.conf", "resolv.conf")),
    *(f"/etc/ssl/{name}" for name in ("cert.pem", "certs", "openssl.cnf")),
    *(f"/etc/pki/{name}" for name in ("ca-trust/extracted", "tls/certs", "tls/cert.pem", "tls/openssl.cnf")),
)
_PYTHON = ("bin", "lib", "lib64", "pyvenv.cfg")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
# No /proc at all, instead of one of its own: Linux forbids a new one wherever a container's own is masked, and what we
# run needs none.
_OPTIONS = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL", "--die-with-parent"),
    *("--dev", "/dev", "--size", str(1 << 30), "--tmpfs", "/tmp", "--setenv", "TMPDIR", "/tmp"),  # noqa: S108 - its own
    *("--unsetenv", "XDG_RUNTIME_DIR"),
)
_TRIAL_S = 30.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What a confined child sees beside the system's programs: folders that it may change, and paths that it may read.

    A path that does not exist is left out.
    """

    writes: tuple[Path, ...] = ()
    reads: tuple[Path, ...] = ()
    has_network: bool = True


@dataclass(frozen=True, slots=True)
class Protection:
    """Bubblewrap's executable; empty where it does not work, and then `reason` says why."""

    executable: str
    reason: str = ""

    def tell(self, who: str) -> str:
        """Return in words what a child sees, for the log."""
        if self.executable:
            return f"{who} sees its own folder alone (bubblewrap)"
        return f"{who} sees this worker's files, as far as its user may read them: {self.reason}"

    def confine(self, sight: Sight, executable: str, cwd: Path, environment: Mapping[str, str]) -> list[str]:
        """Return what to put before a command so that it sees no more than that; nothing where there is no protection.

        :param executable: the command's, which it sees wherever it lies.
        :param cwd: the folder to run in, in what it sees.
        :param environment: the command's; it may name certificates.
        """
        if not self.executable:
            return []
        return [self.executable, *_list_options(sight, executable, environment), "--chdir", str(cwd), "--"]


@functools.cache
def find_protection() -> Protection:
    """Return the protection that this worker allows: a container often has no user namespaces."""
    executable = shutil.which("bwrap")
    if executable is None:
        return Protection("", "bubblewrap is not installed")
    trial = Protection(executable).confine(Sight(has_network=False), sys.executable, Path("/"), {})
    try:
        # Python itself, so that what was found to work is not a mere shell.
        done = subprocess.run(  # noqa: S603 - our own words
            [*trial, sys.executable, "-I", "-S", "-c", ""],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Protection("", f"bubblewrap does not work here ({error})")
    if done.returncode == 0:
        return Protection(executable)
    said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    return Protection("", f"bubblewrap does not work here ({said[0].removeprefix('bwrap: ')})")


def _list_options(sight: Sight, executable: str, environment: Mapping[str, str]) -> Iterator[str]:
    yield from _OPTIONS
    if not sight.has_network:
        yield "--unshare-net"
    # The executable first: it may be a link in one of the folders, and nothing can be laid over that.
    for path in (executable, *_list_readable(environment), *map(str, sight.reads)):
        yield from ("--ro-bind-try", path, path)
    for path in map(str, sight.writes):
        yield from ("--bind-try", path, path)
    yield from ("--remount-ro", "/")  # the folders in which all these lie


def _list_readable(environment: Mapping[str, str]) -> Iterator[str]:
    yield from _SYSTEM
    for prefix in dict.fromkeys((sys.prefix, sys.base_prefix)):
        yield from (os.path.join(prefix, name) for name in _PYTHON)  # noqa: PTH118 - beside other strings
    for name in _CERTIFICATES:
        yield from filter(None, environment.get(name, "").split(os.pathsep))
