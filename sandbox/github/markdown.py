"""Markdown as GitHub shows it: tables, mentions and references become links, little HTML, no comments."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ALLOWED_TAG = re.compile(r"&lt;(/?)(sub|sup|br|details|summary|kbd)( ?/)?&gt;")
_MENTION = re.compile(r"(?<![\w/`])@([a-z\d](?:[a-z\d-]{0,38})(?:/[a-z\d._-]+)?)", re.IGNORECASE)
_REFERENCE = re.compile(r"(?<![\w&/])(#|GH-)(\d+)\b")


def render_markdown(text: str, repository_url: str) -> str:
    """Return the text as HTML that runs nothing.

    :param repository_url: the page to whose pull requests references lead.
    """
    return str(_make_parser().render(text, {"repository": repository_url}))


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
    """Link mentions and references, as GitHub does everywhere but in code."""
    shown = _MENTION.sub(r'<a class="mention" href="#">@\1</a>', escape(tokens[index].content, quote=False))
    home = escape(str(env["repository"]))
    return _REFERENCE.sub(rf'<a class="reference" href="{home}/pull/\2">\1\2</a>', shown)
