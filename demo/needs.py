"""Tells in one line what this machine lacks for the demo; make asks it by any Python from 3.6, before it installs."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

PYTHON = (3, 11)
GIT = (2, 38)
"""The first whose `git merge-tree` tests a merge, which the sandbox's GitHub does."""

EXECUTORS = ("local", "celery")
"""Airflow on SQLite with LocalExecutor, and on PostgreSQL with CeleryExecutor."""


def tell_python() -> str:
    """Return what is wrong with the Python that runs this, empty if nothing is."""
    if sys.version_info[:2] < PYTHON:
        return f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}: PYTHON=… make demo"
    if find_spec("ensurepip") is None:
        return f"{sys.executable} cannot make environments (venv); on Debian: apt-get install python3-venv"
    return ""


def tell_git() -> str:
    """Return what is wrong with the Git on PATH, empty if nothing is."""
    try:
        said = subprocess.check_output(["git", "--version"]).decode().strip()
    except OSError:
        return "Git is not on PATH, and 2.38 or newer is needed; on Debian: apt-get install git"
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or (int(found.group(1)), int(found.group(2))) < GIT:
        return f"Git 2.38 or newer is needed, the one on PATH is {said!r}: install a newer one"
    return ""


def find_postgres() -> str:
    """Return the folder of the newest PostgreSQL's programs, where Debian lays them; empty if there is none."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return str(max(found, key=lambda folder: float(folder.parent.name), default=""))


def read_executor() -> str:
    """Return which of Airflow's engines is wanted."""
    return os.environ.get("EXECUTOR") or EXECUTORS[0]


def tell_engine(executor: str) -> str:
    """Return what the engine of that name lacks on this machine, empty if nothing."""
    if executor not in EXECUTORS:
        return f"EXECUTOR is {executor!r}; it takes {' or '.join(EXECUTORS)}"
    found = {"postgresql": find_postgres(), "redis-server": which("redis-server")} if executor == "celery" else {}
    lacking = " ".join(package for package, place in found.items() if not place)
    return f"EXECUTOR=celery needs PostgreSQL and Redis; on Debian: apt-get install {lacking}" if lacking else ""


if __name__ == "__main__":
    lack = tell_python() or tell_git() or tell_engine(read_executor())
    sys.exit(f"error: {lack}" if lack else 0)
