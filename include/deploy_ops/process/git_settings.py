"""The settings under which every Git runs that a child of ours may start: ours, and nobody else's.

A folder with a branch's files can hold what Git takes for a repository, with commands in its configuration. Settings in
the environment come after those of any file, and so outweigh them (git-config(1), "ENVIRONMENT").
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SETTINGS = {
    "safe.bareRepository": "explicit",  # a repository without .git is none, unless it is named: a branch may commit one
    "core.fsmonitor": "false",  # else a command
    "core.hooksPath": os.devnull,  # commands, too
    "core.untrackedCache": "false",
    "submodule.recurse": "false",
    "protocol.ext.allow": "never",  # a URL that is a command
}


def make_git_environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return environment variables for a child that is Git, or that may call it.

    :param settings: further settings, which win over ours.
    """
    every = {**_SETTINGS, **(settings or {})}
    numbered = {
        f"GIT_CONFIG_{part}_{number}": text
        for number, pair in enumerate(every.items())
        for part, text in zip(("KEY", "VALUE"), pair, strict=True)
    }
    return {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": str(len(every)),
        **numbered,
    }
