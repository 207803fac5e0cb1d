"""Texts with placeholders: what they may hold, and what becomes of them in a branch's preview."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.environment.placeholders import check_placeholders, fill_placeholders, make_fields

FIELDS = make_fields("shop", "Dev/Orders")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("{branch} of {project}", "Dev/Orders of shop"),
        ("dev_{schema}", "dev_dev_orders_45642fdc"),
        ("{slug}", "dev-orders-45642fdc"),
        ('{{"a": "{project}"}}', '{"a": "shop"}'),
        ("{{branch}}", "{branch}"),
        ("{{{branch}}}", "{Dev/Orders}"),
    ],
)
def test_placeholders_are_filled(text: str, filled: str) -> None:
    check_placeholders(text)
    assert fill_placeholders(text, FIELDS) == filled


def test_what_is_filled_in_is_not_looked_at_again() -> None:
    assert fill_placeholders("{branch}", make_fields("shop", "dev-{project}")) == "dev-{project}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dev_{shema}", "a text without the placeholder {shema}; did you mean {schema}?"),
        ("{}", "known: {branch}, {slug}, {schema}, {project}; a brace by itself is written {{"),
        ("{env.TOKEN}", "a text without the placeholder {env.TOKEN}"),
        ("{branch", "doubled, as {{"),
        ("branch}", "doubled, as }}"),
    ],
)
def test_what_is_none_is_told_with_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        check_placeholders(text)


@given(st.text())
def test_doubled_braces_stand_for_themselves(text: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    check_placeholders(doubled)
    assert fill_placeholders(doubled, FIELDS) == text
