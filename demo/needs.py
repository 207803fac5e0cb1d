"""Tells in one line what this machine lacks for the demo; make asks it by any Python from 3.6, before it installs."""

import re
import subprocess
import sys
from importlib.util import find_spec

PYTHON = (3, 11)
GIT = (2, 38)
"""The first whose `git merge-tree` tests a merge, which the sandbox's GitHub does."""


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


if __name__ == "__main__":
    lack = tell_python() or tell_git()
    sys.exit(f"error: {lack}" if lack else 0)
