"""Write HTML in which every text is escaped, and frame it as a page, light or dark. Knows none of what is shown."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

_STYLE = """:root{color-scheme:light dark;--text:#1f2328;--faint:#59636e;--line:#d1d9e0;--shade:#f6f8fa;--page:#fff;
--link:#0969da;--good:#1a7f37;--bad:#d1242f;--wait:#9a6700;--done:#8250df;--on:#fff}
@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--faint:#9198a1;--line:#3d444d;--shade:#161b22;--page:#0d1117;
--link:#6cb6ff;--good:#3fb950;--bad:#ff7b72;--wait:#e3b341;--done:#be8fff;--on:#0d1117}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;max-width:66rem;margin:0 auto;padding:1.5rem 1rem 4rem;color:var(--text);
background:var(--page);overflow-wrap:anywhere}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
h1{font-size:1.5rem;margin:.5rem 0 1rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
pre{background:var(--shade);padding:.8rem;overflow:auto;font-size:13px}li{margin:.2rem 0}
code{font-size:.9em}.muted{color:var(--faint)}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:6px}
.scroll table{border-collapse:collapse;width:100%;font-size:14px}
.scroll th,.scroll td{text-align:left;vertical-align:top;padding:.45rem .8rem;border-top:1px solid var(--line);
white-space:nowrap}
.scroll tr:first-child>*{border-top:0}.scroll th{background:var(--shade);font-weight:600;white-space:nowrap}
.scroll td.long{white-space:normal;min-width:14rem}.facts th{width:14rem}
.pill{display:inline-block;white-space:nowrap;border:1px solid;border-radius:2rem;padding:0 .6rem;font-size:12px;
font-weight:600;color:var(--faint)}
.pill.good{color:var(--good)}.pill.bad{color:var(--bad)}.pill.wait{color:var(--wait)}.pill.done{color:var(--done)}
details{margin:1rem 0}summary{cursor:pointer}
"""
# A page is markup and style: whatever somebody gets into it starts nothing and fetches nothing.
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"}
_TONES = {
    **dict.fromkeys(("HEALTHY", "DEPLOYED", "success", "open", "done"), "good"),
    **dict.fromkeys(("FAILED", "UNHEALTHY", "failure", "error", "closed", "failed", "deleted"), "bad"),
    **dict.fromkeys(("CREATING", "DEPLOYING", "INITIALIZED", "pending", "queued"), "wait"),
    **dict.fromkeys(("HIBERNATING", "merged"), "done"),
}


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def render(value: object) -> Html:
    """Return the value as HTML: escaped, unless it is HTML already; nothing for None."""
    return value if isinstance(value, Html) else Html("" if value is None else escape(str(value)))


def join(values: Iterable[object], between: str = "") -> Html:
    """Return the values as HTML, one after the other; empty ones are left out."""
    return Html(render(between).join(filter(None, map(render, values))))


def tag(name: str, *children: object, **attributes: str) -> Html:
    """Return an element with the children in it; `class_` is the attribute `class`."""
    said = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{said}>{join(children)}</{name}>")


def link(url: str, *children: object, **attributes: str) -> Html:
    """Return a link, or its text where the address is none of the web (`javascript:`)."""
    is_web = urlsplit(url).scheme in {"http", "https", ""}
    return tag("a", *children, href=url, **attributes) if url and is_web else join(children)


def list_items(items: Iterable[object]) -> Html:
    """Return a list."""
    return tag("ul", *(tag("li", item) for item in items))


def lay_out(headings: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> Html:
    """Return a table that scrolls where it is too wide, or a sentence in place of one without rows."""
    lines = [tag("tr", *(cell if _is_cell(cell) else tag("td", cell) for cell in row)) for row in rows]
    if not lines:
        return tag("p", empty, class_="muted")
    head = tag("tr", *(tag("th", heading) for heading in headings))
    return tag("div", tag("table", head, *lines), class_="scroll")


def _is_cell(value: object) -> bool:
    return isinstance(value, Html) and value.startswith("<td")


def fill(*children: object) -> Html:
    """Return a table's cell for a text that breaks wherever it must."""
    return tag("td", *children, class_="long")


def lay_out_facts(facts: Iterable[tuple[str, object]]) -> Html:
    """Return a table of names and values; without those that have no value."""
    lines = [tag("tr", tag("th", name), fill(value)) for name, value in facts if render(value)]
    return tag("div", tag("table", *lines), class_="scroll facts")


def mark(state: str) -> Html:
    """Return a state in its colour."""
    return tag("span", state, class_=f"pill {_TONES.get(state, '')}".strip())


def write_time(at: datetime) -> str:
    """Return a time in UTC as people read it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def respond(
    title: str, body: str, *trail: Html, style: str = "", status: int = 200, is_start: bool = False
) -> HTMLResponse:
    """Return a page.

    :param body: HTML, below the title.
    :param trail: links to what it is a part of, outermost first; the start page leads them, unless this is it.
    """
    way = "" if is_start else tag("nav", join([link("/", "Sandbox"), *trail], " / "), class_="muted")
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="icon" href="data:,"><style>{_STYLE}{style}</style>'
    )
    text = f'<!doctype html><html lang="en"><head>{head}</head><body>{way}{tag("h1", title)}{body}</body></html>'
    return HTMLResponse(text, status, _HEADERS)
