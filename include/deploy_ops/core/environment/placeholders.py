"""Texts with placeholders, such as dev_{schema}: check them, and fill them in for one branch."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import name_schema, slug_branch

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACEHOLDERS = ("branch", "slug", "schema", "project")

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def check_placeholders(text: str) -> None:
    """Raise ValueError, with what to write instead, unless every brace is doubled or part of a known placeholder."""
    for part in _PART.finditer(text):
        if part[0] in {"{", "}"}:
            raise ValueError(f"a text in which a brace that stands for itself is doubled, as {part[0] * 2}")
        if part[1] is not None and part[1] not in PLACEHOLDERS:
            raise ValueError(f"a text without the placeholder {{{part[1]}}}; {_suggest(part[1])}")


def _suggest(name: str) -> str:
    nearest = difflib.get_close_matches(name, PLACEHOLDERS, n=1)
    known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
    return f"did you mean {{{nearest[0]}}}?" if nearest else f"known: {known}; a brace by itself is written {{{{"


def make_fields(project: str, branch: str) -> dict[str, str]:
    """Return what each placeholder stands for in a branch's preview."""
    return {"branch": branch, "slug": slug_branch(branch), "schema": name_schema(branch), "project": project}


def fill_placeholders(text: str, fields: Mapping[str, str]) -> str:
    """Return a text that `check_placeholders` let pass, filled in. What is filled in is not looked at again."""
    return _PART.sub(lambda part: part[0][0] if part[1] is None else fields[part[1]], text)
