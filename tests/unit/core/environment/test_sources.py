"""How the policy writes where a value comes from, and what it is told where it does not."""

from __future__ import annotations

import re

import pytest

from include.deploy_ops.core.environment.sources import (
    ConnectionSource,
    Pattern,
    VariableSource,
    parse_connection,
    parse_source,
)


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ("dev_{schema}", Pattern("dev_{schema}")),
        ("", Pattern("")),
        ({"variable": "preview_key"}, VariableSource("preview_key")),
        ({"variable": "team a/preview.key..v2"}, VariableSource("team a/preview.key..v2")),
        ({"connection": "preview_api", "field": "password"}, ConnectionSource("preview_api", "password")),
        ({"connection": "preview_api", "field": "extra.token"}, ConnectionSource("preview_api", "extra.token")),
    ],
)
def test_forms_are_read(written: object, source: object) -> None:
    assert parse_source(written) == source
    assert parse_source(source) == source


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (7, "a text, {variable: <name>}, or {connection: <id>, field: <field>}"),
        ({"variable": "a", "field": "b"}, "a text, {variable: <name>}"),
        ({"connection": "a"}, "a text, {variable: <name>}"),
        ({"connection": "a", "field": "pasword"}, "did you mean password?"),
        ({"connection": "a", "field": "extra."}, "or extra.<key>"),
        ({"connection": "a", "field": ""}, "a field: password"),
        ({"variable": ""}, "the name of a variable"),
        ({"variable": " a"}, "the name of a variable"),
        *(
            ({"connection": each, "field": "uri"}, "an id without '?', '#', '%' and empty or dotted steps")
            for each in (
                "preview_x/../astro",
                "./astro",
                "a//b",
                "/astro",
                "preview_\\..\\astro",
                "a/..",
                "a?b",
                "a#b",
                "%61",
            )
        ),
        ("a\0b", "without NUL"),
        ("é" * 40_000, "at most 65,536 bytes, not 80,000"),
    ],
)
def test_what_is_none_is_told(written: object, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_source(written)


def test_a_connection_as_one_is_named_by_its_id() -> None:
    assert parse_connection("preview_warehouse") == ConnectionSource("preview_warehouse")
    with pytest.raises(ValueError, match="the id of a connection"):
        parse_connection({"connection": "a"})
