"""Say which of the sandbox's faces a request's path belongs to. It routes nothing."""

from __future__ import annotations

import re
from typing import Literal, get_args

Face = Literal["github", "git", "airflow", "astro", "registry"]
FACES: tuple[Face, ...] = get_args(Face)

_PREFIXES: tuple[tuple[re.Pattern[str], Face], ...] = (
    (re.compile(r"/github/[^/]+/[^/]+\.git(/|$)"), "git"),
    (re.compile(r"/github(/|$)"), "github"),
    (re.compile(r"/astro/airflow/[^/]+/api(/|$)"), "airflow"),
    (re.compile(r"/astro(/|$)"), "astro"),
    (re.compile(r"/v2(/|$)"), "registry"),
)


def name_face(path: str) -> Face | None:
    """Return the face that a path belongs to, or None for the control face and for what nobody serves."""
    return next((face for pattern, face in _PREFIXES if pattern.match(path)), None)
