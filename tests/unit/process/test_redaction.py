"""No spelling of a secret is left in a text or a stream, however its bytes are cut; other text stays as it is."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.process.redaction import (
    RedactedStream,
    list_forms,
    redact,
    redact_cut,
    redact_shapes,
    redact_urls,
)

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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"git says {'ghp_' + 'a1B2' * 9} is wrong", "git says *** is wrong"),
        (f"token={'github_pat_' + 'A1_b' * 20}", "token=***"),
        (f"pushed with {'glpat-' + 'x9Y-' * 5}.", "pushed with ***."),
        (f"key {'AKIA' + 'ABCD1234' * 2}, region eu", "key ***, region eu"),
        (f"aws_secret_access_key = {'aB3/' * 10}", "aws_secret_access_key = ***"),
        (f"got {'eyJhbGciOiJIUzI1NiJ9'}.eyJzdWIiOiIxIn0.c2lnbmF0dXJl back", "got *** back"),
        (
            "composer config http-basic.repo.example ann hunter2 --auth",
            "composer config http-basic.repo.example ann *** --auth",
        ),
        ("GET /x?page=2&X-Amz-Signature=0a1b2c&sig=abc%3D&n=1", "GET /x?page=2&X-Amz-Signature=***&sig=***&n=1"),
        ("GET /x?access_token=abc#top", "GET /x?access_token=***#top"),
        (f"Authorization: Bearer {'t0ken' * 5}", "Authorization: Bearer ***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END", "***-----END"),
    ],
)
def test_what_looks_like_a_token_is_redacted(text: str, shown: str) -> None:
    assert redact_shapes(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "dags/ghp_report.py: 3:1: invalid syntax",
        "deployed 68eb3ae2cad5dd18a48fcba3c0f7bd3f0e9e38a1 of dev-x",
        "sha256:e6c371d8f917105247afbca9a1884c369bc6eea0b39f32b44c10347d666005d8",
        "GET /repos/acme/shop/pulls?state=open&sort=updated&per_page=100",
        "Basic knowledge of the bearer of news",
        "AKIAVERYLONGNAMEOFAVARIABLE_X",
        "the signature of f(x, key=1) changed",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact_shapes(text) == text


@pytest.mark.parametrize(
    "piece",
    ["a", "ghp_", "eyJ", "eyJ-", "-eyJ", "eyJa.", "?token", "http-basic ", "http-basic x ", "Bearer ", "-----BEGIN "],
)
def test_no_text_takes_long(piece: str) -> None:
    begun = time.process_time()
    redact_shapes(piece * (200_000 // len(piece)))
    assert time.process_time() - begun < 2.0


@pytest.mark.parametrize("secret", ['a"b\\c&d<e>', "pässwörd/+=", "two\nlines\tof it"])
def test_a_secret_in_what_a_request_quotes_of_a_request_is_redacted(secret: str) -> None:
    """A connection is JSON, stands in a request's JSON, and an answer repeats that; Go writes some signs by number."""
    for is_ascii in (True, False):
        once = json.dumps({"password": secret}, ensure_ascii=is_ascii)
        twice = json.dumps({"value": once}, ensure_ascii=is_ascii)
        for text in (once, twice, json.dumps({"message": twice}, ensure_ascii=is_ascii)):
            by_go = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
            assert redact(text, [secret]).count("***") == 1
            assert redact(by_go, [secret]).count("***") == 1


def test_a_secret_in_an_address_is_redacted_whatever_the_case_of_its_codes() -> None:
    assert redact("x=a%2fb%2Bc", ["a/b+c"]).startswith("x=a%2fb%2Bc")  # nobody mixes them
    assert redact("x=a%2fb%2bc y=a%2Fb%2Bc", ["a/b+c"]) == "x=*** y=***"


@given(secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=9, max_size=40), data=st.data())
def test_a_piece_of_a_secret_at_an_end_of_what_was_cut_is_redacted(secret: str, data: st.DataObject) -> None:
    length = data.draw(st.integers(8, len(secret)))
    forms = list_forms([secret])
    assert redact_cut(f"{secret[-length:]}, said", forms) == "***, said"
    assert redact_cut(f"said, {secret[:length]}", forms) == "said, ***"
    assert redact_cut(f"said, {secret}, said", forms) == "said, ***, said"
    assert redact_cut(f"said, {secret[:length]}… (a.py, line 3)", forms) == "said, ***… (a.py, line 3)"
    assert redact_cut("said", forms) == "said"
