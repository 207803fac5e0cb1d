"""A muted error stays muted until it is another one, and one word of a person is about one file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from include.deploy_ops.core.verification.mute import MUTES_MAX, Mute, add_mute, keep_mutes, mute_errors
from include.deploy_ops.core.verification.verdict import BrokenFile

NOW = datetime(2026, 11, 20, tzinfo=UTC)
FOUND = BrokenFile("a.py", 3, "KeyError: 'x'", identity="i1")
OTHER = BrokenFile("a.py", 3, "ValueError: y", identity="i2")
MUTE = Mute("a.py", "a known one", "mira", NOW)


def test_a_new_mute_is_about_the_error_that_is_seen_first() -> None:
    assert mute_errors([FOUND], [MUTE]) == (replace(FOUND, is_muted=True),)
    (kept,) = keep_mutes([FOUND], [MUTE])
    assert kept == replace(MUTE, error="i1")
    assert mute_errors([OTHER], [kept]) == (OTHER,)
    assert mute_errors([replace(FOUND, line=9)], [kept])[0].is_muted


def test_a_mute_ends_with_its_error() -> None:
    kept = replace(MUTE, error="i1")
    assert keep_mutes([FOUND, replace(FOUND, file="b.py")], [kept]) == (kept,)
    assert keep_mutes([OTHER], [kept]) == ()
    assert keep_mutes([], [kept, MUTE]) == ()


def test_another_files_error_is_not_muted() -> None:
    assert not mute_errors([replace(FOUND, file="b.py")], [MUTE])[0].is_muted


def test_a_newer_word_takes_the_place_of_an_older_one_and_there_are_few() -> None:
    later = replace(MUTE, reason="another reason")
    assert add_mute([replace(MUTE, error="i1")], later) == (later,)
    many: tuple[Mute, ...] = ()
    for number in range(MUTES_MAX + 5):
        many = add_mute(many, replace(MUTE, file=f"{number}.py"))
    assert len(many) == MUTES_MAX
    assert many[-1].file == f"{MUTES_MAX + 4}.py"
