"""Words on a pull request: what speaks to us, to which project, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.feedback.commands import (
    AGE_MAX,
    LINE_LENGTH_MAX,
    LISTED_FOR,
    OUR_MARKER,
    REPLIED_MAX,
    START,
    WHY_LENGTH_MAX,
    Comment,
    Word,
    find_fault,
    is_meant,
    list_waiting,
    mark_reply,
    may_ask,
    read_asked,
    refuse_comment,
    write_reply,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SINCE = NOW - timedelta(hours=1)
SAID = Comment(7, 1, f"{START} deploy", "mona", 42, True, False, False, NOW - timedelta(minutes=1))


@pytest.mark.parametrize("word", Word)
@pytest.mark.parametrize("end", ["", "  ", "\t", "\r\nplease", "\n\n> quoted"])
def test_a_first_line_speaks(word: Word, end: str) -> None:
    asked = read_asked(f"{START} {word.value}{end}")
    assert asked is not None
    assert (asked.word, asked.rest, asked.line) == (word, (), f"{START} {word.value}")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n/deploy-ops deploy",
        "please\n/deploy-ops deploy",
        " /deploy-ops deploy",
        "    /deploy-ops deploy",
        "\t/deploy-ops deploy",
        "> /deploy-ops deploy",
        "`/deploy-ops deploy`",
        "```\n/deploy-ops deploy\n```",
        "- /deploy-ops deploy",
        "/deploy-opsdeploy",
        "/deploy-ops-deploy",
        "/deploy",
        "@deploy-ops deploy",
        "\ufeff/deploy-ops deploy",
        "\u200b/deploy-ops deploy",
        "/Deploy-Ops deploy",
        "<!-- \n/deploy-ops deploy -->",
        f"/deploy-ops deploy\n{OUR_MARKER}feedback -->",
    ],
)
def test_what_is_quoted_fenced_or_further_down_does_not_speak(body: str) -> None:
    assert read_asked(body) is None


@pytest.mark.parametrize(
    "line", ["/deploy-ops dploy", "/deploy-ops DEPLOY", "/deploy-ops delete", "/deploy-ops d\u0435ploy"]
)
def test_a_word_that_is_none_is_told_from_silence(line: str) -> None:
    asked = read_asked(line)
    assert asked is not None
    assert asked.word is None
    assert find_fault(asked, "shop", ()) == "there is no such word"


def test_nothing_behind_the_name_asks_for_help() -> None:
    asked = read_asked(START)
    assert asked is not None
    assert asked.word is Word.HELP


@given(st.text(max_size=400))
def test_whatever_is_written_is_read(body: str) -> None:
    for text in (body, f"{START} {body}", f"{START} deploy {body}"):
        asked = read_asked(text)
        assert asked is None or len(asked.line) <= LINE_LENGTH_MAX
        if asked is not None:
            assert text.startswith(START)


@pytest.mark.parametrize(
    ("line", "owner", "fault"),
    [
        ("deploy", "a", "several projects (a, b): name one"),
        ("deploy a", "a", ""),
        ("deploy b", "b", ""),
        ("deploy c", "a", "nothing else may stand"),
        ("deploy b now", "b", "nothing else may stand"),
        ("help", "a", ""),
        ("dploy b", "b", "no such word"),
    ],
)
def test_of_several_projects_exactly_one_answers(line: str, owner: str, fault: str) -> None:
    asked = read_asked(f"{START} {line}")
    assert asked is not None
    listeners = {"a": ("b",), "b": ("a",)}
    assert [name for name, others in listeners.items() if is_meant(asked, name, others)] == [owner]
    found = find_fault(asked, owner, listeners[owner])
    assert fault in found
    assert bool(fault) == bool(found)


def list_ids(*said: Comment, settled: tuple[int, ...] = ()) -> list[int]:
    return [each.id for each in list_waiting(said, settled, SINCE, NOW, "shop", ())]


def test_what_waits_is_persons_words_since_somebody_listens_the_oldest_first() -> None:
    others = [
        replace(SAID, id=1, body="hello"),
        replace(SAID, id=2, is_person=False),
        replace(SAID, id=3, created_at=SINCE - timedelta(seconds=1)),
        replace(SAID, id=4),
    ]
    assert list_ids(replace(SAID, id=9), *others, replace(SAID, id=8), settled=(4,)) == [8, 9]


def test_a_second_has_no_parts_on_github() -> None:
    since = SINCE + timedelta(microseconds=900_000)
    said = replace(SAID, created_at=SINCE)
    assert list_waiting([said], (), since, NOW, "shop", ()) == (said,)
    assert refuse_comment(said, since, SINCE + AGE_MAX) == ""


@pytest.mark.parametrize(("age", "is_there"), [(LISTED_FOR - timedelta(seconds=1), True), (LISTED_FOR, False)])
def test_a_mark_from_before_the_memory_was_lost_is_looked_at_for_a_day(age: timedelta, is_there: bool) -> None:
    marked = replace(SAID, has_eyes=True, created_at=NOW - age)
    assert (list_ids(marked) == [7]) is is_there
    assert list_ids(replace(marked, has_eyes=False)) == []
    assert "before anybody listened" in refuse_comment(marked, SINCE, NOW)


def test_after_a_day_nobody_waits_any_more() -> None:
    since = NOW - timedelta(days=9)
    for age, count in ((LISTED_FOR - timedelta(seconds=1), 1), (LISTED_FOR, 0)):
        old = replace(SAID, created_at=NOW - age)
        assert len(list_waiting([old], (), since, NOW, "shop", ())) == count


@pytest.mark.parametrize(("age", "why"), [(AGE_MAX, ""), (AGE_MAX + timedelta(seconds=1), "more than 30 minutes")])
def test_half_an_hour_is_the_border(age: timedelta, why: str) -> None:
    found = refuse_comment(replace(SAID, created_at=NOW - age), SINCE - AGE_MAX, NOW)
    assert why in found
    assert bool(why) == bool(found)


def test_an_edited_comment_counts_not() -> None:
    assert "edited" in refuse_comment(replace(SAID, is_edited=True), SINCE, NOW)


@pytest.mark.parametrize(
    ("permission", "may"),
    [("admin", True), ("write", True), ("read", False), ("none", False), ("", False), ("maintain", False)],
)
def test_who_may_push_may_ask(permission: str, may: bool) -> None:
    assert may_ask(permission) is may


def test_a_reply_is_short_and_does_nothing() -> None:
    hostile = "@acme/all #1 <img src=x> | [x](http://evil.example) `tick` ![](https://x.example)" + "x" * 5000
    reply = write_reply(mark_reply("acme", "shop"), [(f"{START} {hostile}", hostile)] * 50, "shop")
    assert reply.startswith("<!-- deploy-ops commands of acme/shop -->\n")
    assert reply.count("was not done") == REPLIED_MAX
    assert len(reply) < 2000 + REPLIED_MAX * 6 * (WHY_LENGTH_MAX + LINE_LENGTH_MAX)
    lines = [line for line in reply.splitlines() if "was not done" in line]
    assert not any("@acme" in line.rpartition("was not done")[2] for line in lines)
    assert not any("](http" in line.rpartition("was not done")[2] for line in lines)
    assert "| `/deploy-ops deploy shop` |" in reply
    assert read_asked(reply) is None


def test_our_reply_is_no_word_wherever_it_is_quoted() -> None:
    reply = write_reply(mark_reply("acme", "shop"), [], "")
    assert read_asked(f"{START} deploy\n\n{reply}") is None
