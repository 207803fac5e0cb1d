"""No spelling of a secret is left in a text or a stream, however its bytes are cut; other text stays as it is."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.process.redaction import RedactedStream, list_forms, redact, redact_urls

SECRET = "s3cr/et+token=="  # noqa: S105 - an example


@pytest.mark.parametrize("user", ["cli", "user", "robot"])
def test_secret_inside_a_larger_base64_text_is_redacted(user: str) -> None:
    header = base64.b64encode(f"{user}:{SECRET}:more".encode()).decode()
    shown = redact(f"Authorization: Basic {header}", [SECRET])
    kept = shown.removeprefix("Authorization: Basic ").split("***")
    assert len(kept) == 2
    assert sum(map(len, kept)) <= len(header) - 16


def test_empty_secret_redacts_nothing() -> None:
    assert redact("abc", ["", " "]) == "abc"


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert redact("token-long token", ["token", "token-long"]) == "*** ***"


def test_json_and_many_lines_are_redacted() -> None:
    assert redact('{"key": "a\\"b\\nsecond line"}', ['a"b\nsecond line']) == '{"key": "***"}'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pip --index-url https://ann:p@ss@pypi.example/simple x", "pip --index-url https://***@pypi.example/simple x"),
        ("clone HTTPS://ghp_token@github.example/a.git", "clone HTTPS://***@github.example/a.git"),
        ("postgres://app:pw@db:5432/shop failed", "postgres://app:***@db:5432/shop failed"),
        ("'http://:pw@proxy:3128' refused", "'http://***@proxy:3128' refused"),
        ("ssh://git@github.example/a and ann@mail.example", "ssh://git@github.example/a and ann@mail.example"),
        ("http://host:8080/orders@v1, ask ann@mail.example", "http://host:8080/orders@v1, ask ann@mail.example"),
        ("https://host?mail=ann@mail.example", "https://host?mail=ann@mail.example"),
    ],
)
def test_credentials_in_urls_are_redacted_and_nothing_else(text: str, shown: str) -> None:
    assert redact_urls(text) == shown


@given(st.lists(st.sampled_from([SECRET, "x", "é", "\n", "word "]), max_size=40), st.integers(1, 7))
def test_a_stream_says_the_same_however_its_bytes_are_cut(words: list[str], size: int) -> None:
    data = "".join(words).encode()
    stream = RedactedStream(list_forms([SECRET]))
    lines = [line for start in range(0, len(data), size) for line in stream.take(data[start : start + size])]
    lines += stream.finish()
    expected = "".join(words).replace(SECRET, "***")
    assert stream.text == expected
    assert lines == (expected.removesuffix("\n").split("\n") if expected else [])
