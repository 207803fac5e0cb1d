"""Approvals: given out by the run that asked, and void when a word of them differs."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from include.deploy_ops.core.errors import SealError
from include.deploy_ops.core.plan.remembered import Approval
from include.deploy_ops.run.approvals import check_approval, seal_approval
from include.deploy_ops.run.seals import Seals

SEALS = Seals("plane", ("token",))
DAG = "shop.production.request"
GIVEN = Approval(
    head="a" * 40,
    base="b" * 40,
    observed="d1",
    person="ada",
    at=datetime(2026, 11, 29, 12, tzinfo=UTC),
    merges=True,
    commit="c" * 40,
    kind="image-and-dags",
    image=f"registry/shop@sha256:{'0' * 64}",
    image_source="reuse",
    image_origin="ci",
    user_id="7",
    run_id="target.production~request~0123456789ab~01234567~1",
)
SEAL = "1.779a287e.2af7942a90f3a9bbf60af1e0ad320f08f77d85bd0e8c675e7434d0168ff9711f"
"""What the first release with seals made of it."""


def test_the_form_of_a_seal_stays() -> None:
    assert seal_approval(SEALS, DAG, GIVEN).seal == SEAL


def test_an_approval_counts_as_it_was_given() -> None:
    check_approval(SEALS, DAG, seal_approval(SEALS, DAG, GIVEN))


@pytest.mark.parametrize("name", sorted({each.name for each in fields(Approval)} - {"seal"}))
def test_no_word_of_an_approval_can_be_changed(name: str) -> None:
    sealed = seal_approval(SEALS, DAG, GIVEN)
    others: dict[str, Any] = {"merges": False, "at": datetime(2026, 11, 29, 13, tzinfo=UTC)}
    with pytest.raises(SealError, match="changed by hand"):
        check_approval(SEALS, DAG, replace(sealed, **{name: others.get(name, "other")}))


def test_an_approval_counts_at_its_own_target() -> None:
    with pytest.raises(SealError, match="changed by hand"):
        check_approval(SEALS, "shop.staging.request", seal_approval(SEALS, DAG, GIVEN))


def test_an_approval_that_nobody_gave_out_is_refused() -> None:
    with pytest.raises(SealError, match="bears no seal"):
        check_approval(SEALS, DAG, GIVEN)
