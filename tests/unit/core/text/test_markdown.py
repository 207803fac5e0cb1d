"""Whatever others write, it stands in our Markdown as text: no markup, link, mention or reference comes of it."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from include.deploy_ops.core.text.markdown import (
    MUTE,
    clean,
    cut,
    describe_span,
    flatten,
    quote_reason,
    quote_table,
    quote_text,
    render_table,
    write_block,
    write_code,
    write_link,
    write_plain_link,
    write_quotation,
    write_words,
)
from sandbox.github.markdown import render_markdown

HOME = "https://github.example/acme/shop"
PARTS = st.sampled_from(
    [
        *("`", "``", "```", "~~~", "@ann", "@acme/team", "#12", "GH-7", "<!--", "-->", "<b>", "</details>", "|", "\n"),
        *("\r", "\n\n", "[a](https://x.example)", "![i](x)", "**", "__", "\\", "&amp;", "https://x.example/#1"),
        *("www.x.example", "1. ", "- ", "# ", "> ", "    ", "\t", "a", " ", "\u202e", "\u2028", "\x00", "é", "😀"),
        *("$x$", "a@b.example"),
    ]
)
TEXTS = st.lists(PARTS | st.text(max_size=6), max_size=24).map("".join)
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
ACTIVE = re.compile(r"(?i)@\w|#\w|\bgh-\d|\bhttps?:|\bwww\.|\bmailto:|\bxmpp:|\bftp:")


def read_text(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


@given(TEXTS)
@example("@ann fixes #12, see GH-7 and https://x.example")
@example("1. first")
def test_words_are_one_paragraph_of_plain_text(text: str) -> None:
    source = f"- Held: {write_words(text)}\n\nafter"
    tokens = PARSER.parse(source)
    inline = [token for token in tokens if token.type == "inline"]
    assert len(inline) == 2
    assert {child.type for child in inline[0].children or []} <= {"text", "text_special"}
    shown = "".join(child.content for child in inline[0].children or [])
    assert shown.replace(MUTE, "").strip() == f"Held: {flatten(text)}".strip()
    assert not ACTIVE.search(shown)
    html = render_markdown(source, HOME)
    assert "<a " not in html


@given(TEXTS)
def test_words_keep_to_their_cell(text: str) -> None:
    html = render_markdown(f"| a | b |\n|---|---|\n| {write_words(text)} | {write_code(text)} |\n\nafter", HOME)
    assert html.count("<td>") == 2
    assert "<a " not in html
    assert html.rstrip().endswith("<p>after</p>")
    words, code = re.findall(r"<td>(.*?)</td>", html, re.DOTALL)
    assert read_text(words).replace(MUTE, "").strip() == flatten(text)
    assert read_text(code).strip() == flatten(text).strip()


@given(TEXTS, st.integers(1, 5), st.integers(10, 80))
@example("```\n@ann\n# title", 5, 80)
@example("~~~\n````text\n`````", 5, 80)
def test_nothing_gets_out_of_a_block(text: str, lines: int, length: int) -> None:
    tokens = PARSER.parse(f"before\n\n{write_block(text, lines, length)}\n\nafter")
    assert [token.type for token in tokens if token.nesting >= 0 and token.type != "inline"] == [
        "paragraph_open",
        "fence",
        "paragraph_open",
    ]
    (fence,) = [token for token in tokens if token.type == "fence"]
    assert fence.info == "text"
    shown = fence.content.removesuffix("\n").partition("\n… ")[0]
    assert len(shown) <= length
    assert len(shown.split("\n")) <= lines


def test_a_block_shows_the_first_lines_that_say_something() -> None:
    assert write_block("\n\n  one  \n\n\ttwo\r\nthree\n", 2, 100) == "```text\n  one\n    two\n… 1 lines more\n```"
    assert write_block("", 2, 100) == "```text\n \n```"
    assert write_block("a ```` b", 2, 100).startswith("`````text\n")


@pytest.mark.parametrize(
    ("url", "markdown"),
    [
        ("https://x.example/a(b)<c> d|e", "[L](<https://x.example/a%28b%29%3Cc%3E%20d%7Ce>)"),
        ("javascript:alert(1)", "L"),
        ("", "L"),
        ("http://[", "L"),
    ],
)
def test_only_web_addresses_become_links(url: str, markdown: str) -> None:
    assert write_link("L", url) == markdown


def test_what_shows_nothing_is_shown_by_its_number() -> None:
    shown = "a<U+202E>b<U+0000>c<U+200B>d\ne\tf<U+D800>g<U+000D>h"
    assert clean("a\u202eb\x00c\u200bd\r\ne\tf\ud800g\rh") == shown
    assert quote_text("a\x1b[31mb\u2066") == "`a<U+001B>[31mb<U+2066>`"
    assert flatten(" a \n\n b\t") == "a b"
    assert (cut("abc", 3), cut("abcd", 3)) == ("abc", "ab…")


def test_a_table_of_somebodys_texts_quotes_each() -> None:
    assert quote_table(("a", "b"), [("x|y", "")]).splitlines()[-1] == "| `x¦y` | - |"


def test_a_table_says_how_many_rows_it_leaves_out() -> None:
    assert render_table(("a", "b"), [("1", "2")], 0).splitlines() == ["| a | b |", "|---|---|", "| 1 | 2 |"]
    assert render_table(("a", "b"), [("1", "2")], 3).splitlines()[-1] == "| … and 3 more |  |"


@pytest.mark.parametrize(
    ("url", "markdown"),
    [
        ("https://x.example/a#b", "[L](https://x.example/a#b)"),
        ("https://x.example/a(b)", "L"),
        (f"https://x.example/{'a' * 300}", "L"),
        ("javascript:alert(1)", "L"),
    ],
)
def test_a_plain_link_has_an_address_without_escapes(url: str, markdown: str) -> None:
    assert write_plain_link("L", url) == markdown


def test_a_quotation_says_the_words_and_does_nothing() -> None:
    said = "<!-- & @ann **no** -->\n\n# big\r\n![i](https://x.example)"
    html = render_markdown(write_quotation(said), HOME)
    assert html.count("<blockquote>") == 1
    assert re.findall(r"<(?!/|blockquote|p>)", html) == []
    assert read_text(html).replace(MUTE, "").split() == said.split()


def test_no_cell_of_a_strangers_makes_another_cell_or_line() -> None:
    nasty = "a|b\\|c`d\ne\x00<img src=x>"
    table = render_table(("one", "two"), [[quote_text(nasty), quote_reason(nasty * 200)]])
    heading, rule, row = table.splitlines()
    assert (heading, rule) == ("| one | two |", "|---|---|")
    assert row.count("|") == heading.count("|")
    assert row.count("`") == len(("open", "close")) * len(("one", "two"))


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (None, "-"),
        (timedelta(), "0s"),
        (timedelta(seconds=59), "59s"),
        (timedelta(minutes=5), "5m"),
        (timedelta(hours=2, seconds=3), "2h"),
        (timedelta(hours=2, minutes=3, seconds=4), "2h 3m"),
        (timedelta(days=14, hours=23, minutes=59), "14d 23h"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(span: timedelta | None, said: str) -> None:
    assert describe_span(span) == said
