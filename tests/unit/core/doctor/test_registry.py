"""What the doctor says of the CI's images: each check by a fault that turns it, and by what mends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.fact import Cause, Unread
from include.deploy_ops.core.doctor.registry import Image, ImageFacts, OtherPlatform, judge_registry, list_sources
from tests.worlds.values.examples import make_project, sha

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
PROJECT = make_project()
SOURCE = "registry.example/acme/shop:{sha}"
GOOD = ImageFacts(SOURCE, sha("a"), NOW - timedelta(days=1), sha("a"), Image("3.3-2"))
NAME, LABEL, PLATFORM = f"image {SOURCE}", f"label of {SOURCE}", f"platform of {SOURCE}"
REFUSED = Unread("The registry refused to let us pull anonymously (HTTP 401). Give a login that may", cause=Cause.RIGHT)


def judge(facts: ImageFacts) -> dict[str, Check]:
    return {check.name: check for check in judge_registry(PROJECT, (facts,), NOW)}


def test_only_names_with_a_commit_are_asked_for() -> None:
    assert list_sources(make_project(image=("reuse", SOURCE, "build"))) == (SOURCE,)
    (check,) = judge_registry(make_project(image=("reuse", "build")), (), NOW)
    assert (check.area, check.status) == (Area.REGISTRY, Status.OK)


def test_a_good_image_is_ok_in_every_way() -> None:
    found = judge(GOOD)
    assert [(check.name, check.status) for check in found.values()] == [
        (name, Status.OK) for name in (NAME, LABEL, PLATFORM)
    ]
    assert found[LABEL].found == "io.astronomer.docker.runtime.version is 3.3-2"


def test_an_image_of_a_commit_before_serves_and_says_so() -> None:
    found = judge(replace(GOOD, commit=sha("b")))[NAME]
    assert (found.status, found.found) == (
        Status.OK,
        "there is one of bbbbbbbbbbbb, which serves trunk's aaaaaaaaaaaa as it is",
    )


@pytest.mark.parametrize(
    ("facts", "name", "status", "found", "advice"),
    [
        (
            replace(GOOD, image=None),
            NAME,
            Status.FAIL,
            f"registry.example/acme/shop:{sha('a')} is",
            "exactly this name",
        ),
        (
            replace(GOOD, image=None, committed_at=NOW - timedelta(minutes=5)),
            NAME,
            Status.WARN,
            "is not there yet; the commit is 5m old",
            "awaited for 30m",
        ),
        (replace(GOOD, image=REFUSED), NAME, Status.FAIL, "HTTP 401", "HTTP 401 or 403"),
        (replace(GOOD, image=Unread("no answer")), NAME, Status.NOT_KNOWN, "no answer", "HTTP 401 or 403"),
        (replace(GOOD, image=REFUSED), LABEL, Status.NOT_KNOWN, "no image that could", "see the checks above"),
        (replace(GOOD, image=None), PLATFORM, Status.NOT_KNOWN, "no image that could", "linux/amd64"),
        (replace(GOOD, image=Image(None)), LABEL, Status.FAIL, "no label", "FROM Astro Runtime"),
        (
            replace(GOOD, image=OtherPlatform("it is for linux/arm64")),
            PLATFORM,
            Status.FAIL,
            "linux/arm64",
            "--platform linux",
        ),
    ],
)
def test_each_check_is_turned_by_its_fault(
    facts: ImageFacts, name: str, status: Status, found: str, advice: str
) -> None:
    check = judge(facts)[name]
    assert (check.status, found in check.found, advice in check.advice) == (status, True, True), check


def test_where_trunk_is_not_known_no_image_is_and_it_says_so_once() -> None:
    (check,) = judge_registry(PROJECT, Unread("GET … answered HTTP 502"), NOW)
    assert (check.status, check.found) == (Status.NOT_KNOWN, "GET … answered HTTP 502")
