"""Generated branch names, as Git allows them, and groups of names that are easily taken for one another."""

from __future__ import annotations

from hypothesis import strategies as st

from include.deploy_ops.core.naming import slug_branch

NAME_BYTES_MAX = 250
_REFUSED_IN_NAME = (" ", "~", "^", ":", "?", "*", "[", "\\", "\x7f", "..", "@{", "//", "/.", ".lock/")
_REFUSED_AT_END = (".lock", ".", "/")
_REFUSED_AT_START = ("-", "/", ".")
_PLAIN = ["dev", "dev-", "dev/", "a", "A", "-", "--", "_", ".", "/", "main", "refs/heads/", "HEAD", "lock", ".loc"]
_SIGNS = ["@", "{", "}", "$(x)", "`", "'", '"', ";", "%", "%2F", "=", "]", "#", "!", "&", "head=", "-0a1b2c3d"]
_FOREIGN = ["é", "e\u0301", "日本", "🚀", "İ", "ß", "\u2028", "\u202e", "\xa0"]
_LONG = ["0" * 40, "d" * 90, "é" * 60]
_PIECES = st.sampled_from([*_PLAIN, *_SIGNS, *_FOREIGN, *_LONG])
_TEXT = st.lists(_PIECES | st.text(st.characters(codec="utf-8"), max_size=4), min_size=1, max_size=6)


def is_legal(name: str) -> bool:
    """Whether Git takes the name (git-check-ref-format(1)), and file systems do."""
    return not (
        name in {"", "@", "HEAD"}
        or name.startswith(_REFUSED_AT_START)
        or name.endswith(_REFUSED_AT_END)
        or any(refused in name for refused in _REFUSED_IN_NAME)
        or any(character < " " for character in name)
        or len(name.encode()) > NAME_BYTES_MAX
    )


def branch_names() -> st.SearchStrategy[str]:
    """Return any legal names, most of them odd."""
    return (_TEXT.map("".join) | st.from_regex(r"dev[a-z0-9_/.-]{0,12}", fullmatch=True)).filter(is_legal)


@st.composite
def twins(draw: st.DrawFn) -> list[str]:
    """Draw different names that read alike: other case, other separators, a name that looks like another's slug."""
    name = draw(branch_names())
    found = [name, name.upper(), name.lower(), name.replace("/", "-"), name.replace("-", "/"), name.replace("-", "_")]
    found += [slug_branch(name), slug_branch(slug_branch(name)), f"{name}-", f"{name}--", f"{slug_branch(name)}-"]
    found += [name[: len(name) - 1], f"{name}-0a1b2c3d", f"{name}x", f"dev-{name}", slug_branch(name, 20)]
    return [each for each in dict.fromkeys(found) if is_legal(each)]
