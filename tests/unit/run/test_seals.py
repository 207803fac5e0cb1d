"""Seals: what was sealed counts where it was sealed, as it was, under the token that sealed it; nothing else does."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.errors import SealError
from include.deploy_ops.run.seals import APPROVAL, WORK, Place, Seals

SEALS = Seals("plane", ("token",))
PLACE = Place("shop.production", "target.production~deploy~0123456789ab~01234567~1", "claim.return_value")
VALUE = {"head": "a" * 40, "base": None, "branch": "dev-ü", "tries": 2, "names": ["x", "y"]}
SEAL = "1.779a287e.fa4409c714c96787dec0cfb35861c72d456aae0d39dcde044bfea2f2e7fc29a1"
"""What the first release with seals made of it: what lies in a queue then counts after an upgrade."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_the_form_of_a_seal_stays() -> None:
    assert SEALS.make(WORK, PLACE, VALUE) == SEAL


@given(value=JSON)
def test_what_was_sealed_counts_in_its_place(value: Any) -> None:
    SEALS.check(WORK, PLACE, copy.deepcopy(value), SEALS.make(WORK, PLACE, value))


@given(value=JSON, other=JSON)
def test_another_value_does_not_count(value: Any, other: Any) -> None:
    if repr(value) == repr(other) or value == other:
        return
    with pytest.raises(SealError, match="is not what was sealed there"):
        SEALS.check(WORK, PLACE, other, SEALS.make(WORK, PLACE, value))


@pytest.mark.parametrize(
    ("purpose", "place"),
    [
        (APPROVAL, PLACE),
        (WORK, Place("shop.staging", PLACE.run_id, PLACE.part)),
        (WORK, Place(PLACE.dag_id, "another", PLACE.part)),
        (WORK, Place(PLACE.dag_id, PLACE.run_id, "image.return_value")),
        (WORK, Place(PLACE.dag_id + PLACE.run_id, "", PLACE.part)),
    ],
)
def test_a_seal_counts_nowhere_else(purpose: str, place: Place) -> None:
    with pytest.raises(SealError, match="is not what was sealed there"):
        SEALS.check(purpose, place, VALUE, SEALS.make(WORK, PLACE, VALUE))


@pytest.mark.parametrize(
    "other", [Seals("plane", ("rotated",)), Seals("another", ("token",)), Seals("plane", ("token", "more"))]
)
def test_a_rotated_token_voids_what_was_sealed_and_says_so(other: Seals) -> None:
    with pytest.raises(SealError, match="rotated since, which voids what was under way"):
        other.check(WORK, PLACE, VALUE, SEALS.make(WORK, PLACE, VALUE))


@pytest.mark.parametrize("seal", [None, "", 0, {}])
def test_what_bears_no_seal_is_refused(seal: Any) -> None:
    with pytest.raises(SealError, match=r"^claim\.return_value of run target\.production.* bears no seal"):
        SEALS.check(WORK, PLACE, VALUE, seal)


@pytest.mark.parametrize("seal", ["1", "1.", "2.779a287e.00", ["1"], {"a": 1}, "é" * 9, "1..", "1.779a287e.é"])
def test_what_is_no_seal_is_refused(seal: Any) -> None:
    with pytest.raises(SealError):
        SEALS.check(WORK, PLACE, VALUE, seal)


def test_the_order_of_tokens_does_not_matter() -> None:
    seal = Seals("plane", ("a", "b")).make(WORK, PLACE, VALUE)
    Seals("plane", ("b", "a", "b")).check(WORK, PLACE, VALUE, seal)


@pytest.mark.parametrize("tokens", [(), ("",)])
def test_there_is_no_seal_without_a_secret(tokens: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="a seal needs a token"):
        Seals("plane", tokens).make(WORK, PLACE, VALUE)


def test_neither_seal_nor_seals_show_the_token() -> None:
    seals = Seals("plane", ("a-secret-token",))
    assert "a-secret-token" not in repr(seals) + seals.make(WORK, PLACE, VALUE)


def test_a_seal_of_a_value_tells_it_from_any_other_for_one_deployment_and_key() -> None:
    values = {"A": "x", "B": "x", "C": "y"}
    found = SEALS.seal_values("id", values)
    assert found == SEALS.seal_values("id", dict(reversed(values.items())))
    others = [SEALS.seal_values("other", values), Seals("plane", ("new",)).seal_values("id", values)]
    every = [seal for each in (found, *others) for seal in each.values()]
    assert len(set(every)) == 9
    assert all(len(seal) == 32 and set(seal) <= set("0123456789abcdef") for seal in every)
