"""Looking at all areas: in the table's order, and none takes out another."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.observation.doctor import examination

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_an_area_that_fails_is_not_known_and_the_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def find(means: Any, inside: Any, now: Any) -> tuple[Check, ...]:
        given.extend((means, inside, now))
        return (Check(Area.HERE, "disk", Status.OK, "5 GiB"),)

    def fail(*_: Any) -> NoReturn:
        raise RuntimeError("unforeseen")

    areas: Any = {Area.HERE: find, Area.ASTRO: fail}
    monkeypatch.setattr(examination, "AREAS", areas)
    means: Any = object()
    first, second = examination.examine(means, None, NOW)
    assert given == [means, None, NOW]
    assert (first.area, first.name, first.status) == (Area.ASTRO, "everything", Status.NOT_KNOWN)
    assert first.found == "RuntimeError; see the log"
    assert (second.name, second.status) == ("disk", Status.OK)
