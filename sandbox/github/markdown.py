"""Markdown as GitHub shows it: tables, mentions and references become links, little HTML, no comments."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ALLOWED_TAG = re.compile(r"&lt;(/?)(sub|sup|br|details|summary|kbd)( ?/)?&gt;")
_MENTION = re.compile(r"(?<![\w/`])@([a-z\d](?:[a-z\d-]{0,38})(?:/[a-z\d._-]+)?)", re.IGNORECASE)
_DIGITS_MAX = 10
_REFERENCE = re.compile(r"(?<![\w&/])(#|GH-)(\d+)\b")


def render_markdown(text: str, repository_url: str, pulls: Collection[int] | None = None) -> str:
    """Return the text as HTML that runs nothing.

    :param repository_url: the repository's page, below which pull requests lie, and beside which people do.
    :param pulls: the numbers of the pull requests that there are; None for any.
    """
    return str(_make_parser().render(text, {"repository": repository_url, "pulls": pulls}))


@cache
def _make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.add_render_rule("html_block", _render_html)
    parser.add_render_rule("html_inline", _render_html)
    parser.add_render_rule("text", _render_text)
    return parser


def _render_html(
    renderer: RendererHTML,  # noqa: ARG001 - the library's signature, here and below
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,  # noqa: ARG001
    env: EnvType,  # noqa: ARG001
) -> str:
    """Leave comments out, let harmless tags be, and show the rest as text."""
    shown = escape(_COMMENT.sub("", tokens[index].content), quote=False)
    return _ALLOWED_TAG.sub(r"<\1\2>", shown)


def _render_text(
    renderer: RendererHTML,  # noqa: ARG001
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,  # noqa: ARG001
    env: EnvType,
) -> str:
    """Link mentions of people and references to what is there, as GitHub does everywhere but in code."""
    home, pulls = str(env["repository"]), env["pulls"]
    people = escape(home.rsplit("/", 2)[0])

    def link_mention(found: re.Match[str]) -> str:
        page = "" if "/" in found[1] else f' href="{people}/{found[1]}"'  # a team has none
        return f'<a class="mention"{page}>{found[0]}</a>'

    def link_reference(found: re.Match[str]) -> str:
        is_there = pulls is None or (len(found[2]) < _DIGITS_MAX and int(found[2]) in pulls)
        return f'<a class="reference" href="{escape(home)}/pull/{found[2]}">{found[0]}</a>' if is_there else found[0]

    shown = _MENTION.sub(link_mention, escape(tokens[index].content, quote=False))
    return _REFERENCE.sub(link_reference, shown)
