"""One look of the doctor takes out no other, and nothing that it raises is lost, or tells a secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NoReturn

import pytest
from airflow.sdk.log import mask_secret

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.errors import DeployOpsError, ObservationError, RateLimitError
from include.deploy_ops.observation.doctor.apart import look_apart

if TYPE_CHECKING:
    from tests.worlds.stages.fixtures import Log

FINE = Check(Area.GITHUB, "trunk", Status.OK, "main")


def raise_(error: Exception) -> Callable[[], NoReturn]:
    def look() -> NoReturn:
        raise error

    return look


def test_what_is_found_is_returned() -> None:
    assert look_apart(Area.GITHUB, "everything", lambda: iter([FINE, FINE])) == (FINE, FINE)


@pytest.mark.parametrize("error", [ObservationError("HTTP 502 of GitHub"), RateLimitError("HTTP 502 of GitHub", 9)])
def test_our_own_words_are_told_and_logged(error: DeployOpsError, log: Log) -> None:
    (check,) = look_apart(Area.GITHUB, "everything", raise_(error))
    assert (check.area, check.name, check.status) == (Area.GITHUB, "everything", Status.NOT_KNOWN)
    assert check.found == "HTTP 502 of GitHub"
    assert "GitHub: everything could not be looked at: HTTP 502 of GitHub" in log.read()


def test_of_another_error_only_the_log_has_the_words(log: Log) -> None:
    (check,) = look_apart(Area.ASTRO, "limits", raise_(KeyError("of whom nobody knows what stands in it")))
    assert check.found == "KeyError; see the log"
    assert "of whom nobody knows" in log.read()


def test_an_error_in_the_middle_of_a_look_is_one_as_well() -> None:
    def look() -> Iterator[Check]:
        yield FINE
        raise ObservationError("cut short")

    (check,) = look_apart(Area.GITHUB, "everything", look)
    assert check.found == "cut short"


def test_no_secret_is_told() -> None:
    mask_secret("correct-horse-battery")
    error = ObservationError("GET https://me:pw@ghe.example said correct-horse-battery and ghp_" + "a" * 36)
    (check,) = look_apart(Area.GITHUB, "everything", raise_(error))
    assert check.found == "GET https://***@ghe.example said *** and ***"
