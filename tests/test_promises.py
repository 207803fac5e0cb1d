"""The table of promises: each row says what shows it, and that is there; what README and Security promise has a row."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from include.deploy_ops.check_policy import check_files
from tests.test_readme import HEADING, LINK, MAKEFILE, ROOT, TEXTS, TOKEN, list_anchors, strip_code

TITLE = "Every promise, and what shows it"
FIGURES, _, SECTION = TEXTS["docs/measured.md"].partition(f"\n## {TITLE}\n")
SHOWN, _, OPEN = SECTION.partition("\n### What is open\n")
SAFE = "../README.md#what-is-safe-and-why"
TEST = re.compile(r"(tests/[\w./-]+\.py)::(test_\w+)(?:\[.*\])?")
MAKE = re.compile(r"make ([a-z-]+)(?: [A-Z]+=.+)?")
LEFT_OUT = re.compile(r"(pytestmark = .*)?pytest\.(mark\.)?(skip|xfail)\b|pytest\.mark\.skipif\(True\b")
NUMBER = re.compile(r"\d(?:[\d.,]*\d)?")
PAGES = ("README.md", "docs/using.md", "docs/operating.md", "docs/policy.md", "docs/install.md", "docs/security.md")

UNPROMISED = {
    "README.md#what-one-sees": "pictures",
    "README.md#read-on": "the pages",
    "docs/using.md#what-there-is": "words",
    "docs/using.md#how-an-environment-is": "words",
    "docs/using.md#what-is-done": "words",
    "docs/security.md#who-is-trusted-with-what": "what is trusted is not prevented",
    "docs/security.md#what-is-not-prevented": "what it says",
}
"""Headings of which no row speaks, and why."""


class Promise(NamedTuple):
    """A row: what is promised, where, what shows it, and its figure."""

    words: str
    made_in: str
    shown_by: str
    figure: str

    @property
    def parts(self) -> list[str]:
        return self.words.split("; ")

    @property
    def places(self) -> list[str]:
        return LINK.findall(self.made_in)

    @property
    def proofs(self) -> list[str]:
        return TOKEN.findall(self.shown_by)

    @property
    def is_measured(self) -> bool:
        return any(re.match(r"make (bench|demo|faults)\b", proof) for proof in self.proofs)


def find_rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of all tables' rows, of which none is a heading."""
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0] != heading]


PROMISES = [Promise(*row) for row in find_rows(SHOWN, "promise")]
PROOFS = sorted({proof for promise in PROMISES for proof in promise.proofs})
TESTS = [proof for proof in PROOFS if TEST.fullmatch(proof)]


def list_sources() -> dict[str, str]:
    """Return what README and Security promise, each with the place where it stands."""
    _, _, safe = TEXTS["README.md"].partition("\n## What is safe, and why\n")
    bullets = re.findall(r"^- (.+(?:\n  .+)*)", safe.partition("\n## ")[0], re.MULTILINE)
    sources = {re.sub(r"\s+", " ", bullet): SAFE for bullet in bullets}
    page, _, _ = TEXTS["docs/security.md"].partition("\n## What is safe besides\n")
    for part in page.split("\n### ")[1:]:
        (anchor,) = list_anchors(f"### {part}")
        sources |= dict.fromkeys((row[0] for row in find_rows(part, "what they may try")), f"security.md#{anchor}")
    return sources


SOURCES = list_sources()


@cache
def read_module(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def find_test(module: ast.Module, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return next((node for node in module.body if isinstance(node, kinds) and node.name == name), None)


def is_left_out(module: ast.Module, name: str) -> bool:
    """Whether a test never runs, whatever the machine has: by its module, a mark, or its first statement."""
    test = find_test(module, name)
    assert test is not None
    marks = [node for node in module.body if isinstance(node, (ast.Assign, ast.Expr))]
    return any(LEFT_OUT.match(ast.unparse(node)) for node in (*marks, *test.decorator_list, *test.body))


def test_measured_ends_with_it() -> None:
    assert re.findall(r"^## (.+)$", TEXTS["docs/measured.md"], re.MULTILINE)[-1] == TITLE
    assert TEXTS["docs/measured.md"].splitlines()[-1].startswith("| ")
    assert len(PROMISES) > 100


@pytest.mark.parametrize("promise", PROMISES, ids=[each.words for each in PROMISES])
def test_each_promise_says_where_it_is_made_and_what_shows_it(promise: Promise) -> None:
    assert promise.places
    assert promise.proofs
    assert promise.shown_by == ", ".join(f"`{proof}`" for proof in promise.proofs)
    assert [proof for proof in promise.proofs if not (TEST.fullmatch(proof) or MAKE.fullmatch(proof))] == []


def test_none_stands_there_twice() -> None:
    parts = [part.casefold() for promise in PROMISES for part in promise.parts]
    assert sorted(parts) == sorted(set(parts))
    assert all(len(set(promise.proofs)) == len(promise.proofs) for promise in PROMISES)


@pytest.mark.parametrize("proof", TESTS)
def test_each_named_test_is_there_and_runs(proof: str) -> None:
    found = TEST.fullmatch(proof)
    assert found
    module = read_module(found[1])
    assert find_test(module, found[2]), f"{found[1]} has no {found[2]}"
    assert not is_left_out(module, found[2])


@pytest.mark.parametrize("proof", sorted(set(PROOFS) - set(TESTS)))
def test_each_named_command_is_one_of_make(proof: str) -> None:
    found = MAKE.fullmatch(proof)
    assert found
    assert re.search(rf"^{found[1]}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("promise", [each for each in PROMISES if each.is_measured], ids=lambda each: each.words)
def test_a_measured_figure_stands_in_the_tables_above(promise: Promise) -> None:
    numbers = set(NUMBER.findall(promise.figure))
    assert numbers - set(NUMBER.findall(FIGURES)) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@pytest.mark.skip\ndef test_x(): ...", True),
        ("@pytest.mark.skip(reason='later')\ndef test_x(): ...", True),
        ("@pytest.mark.skipif(True, reason='later')\ndef test_x(): ...", True),
        ("@pytest.mark.xfail\ndef test_x(): ...", True),
        ("def test_x():\n    pytest.skip('later')", True),
        ("pytest.skip('later', allow_module_level=True)\ndef test_x(): ...", True),
        ("pytestmark = [pytest.mark.e2e, pytest.mark.skip]\ndef test_x(): ...", True),
        ("pytestmark = pytest.mark.e2e\ndef test_x(): ...", False),
        ("@pytest.mark.skipif(not bubblewrap(), reason='no bwrap')\ndef test_x(): ...", False),
        ("def test_x():\n    if not there:\n        pytest.skip('none there')", False),
    ],
)
def test_what_never_runs_is_no_proof(text: str, expected: bool) -> None:
    assert is_left_out(ast.parse(text), "test_x") is expected


@pytest.mark.parametrize(("source", "place"), SOURCES.items(), ids=[source[:60] for source in SOURCES])
def test_what_readme_and_security_promise_has_one_row(source: str, place: str) -> None:
    """A row begins as what it shows; one that shows several names each, after a semicolon."""
    rows = [each for each in PROMISES if place in each.places and any(source.startswith(part) for part in each.parts)]
    assert len(rows) == 1, "add a row to the table in docs/measured.md that begins with these words"


@pytest.mark.parametrize("place", sorted(set(SOURCES.values())))
def test_no_row_speaks_of_what_they_promise_no_more(place: str) -> None:
    sources = [source for source, each in SOURCES.items() if each == place]
    parts = [part for promise in PROMISES if place in promise.places for part in promise.parts]
    assert [part for part in parts if not any(source.startswith(part) for source in sources)] == []


@pytest.mark.parametrize("page", PAGES)
def test_each_part_of_a_page_has_its_row(page: str) -> None:
    """A new part of a page either promises something, which is shown, or stands with the reason why not."""
    name = page.removeprefix("docs/") if page.startswith("docs/") else f"../{page}"
    linked = {link.partition("#")[2] for link in LINK.findall(SECTION) if link.partition("#")[0] == name}
    _, *titles = HEADING.findall(strip_code(TEXTS[page]))
    parts = {anchor for title in titles for anchor in list_anchors(f"# {title}")}
    excused = {place.partition("#")[2] for place in UNPROMISED if place.partition("#")[0] == page}
    assert excused <= parts
    assert parts - linked - excused == set()


def test_what_is_open_says_why_and_how_it_is_shown() -> None:
    rows = find_rows(OPEN, "what is open")
    assert len(rows) > 5
    for what, why, how in rows:
        assert what
        assert why
        assert LINK.findall(how)


def test_the_policy_of_the_hour_is_valid(tmp_path: Path) -> None:
    _, _, hour = TEXTS["docs/install.md"].partition("\n## Show it in an hour\n")
    (policy,) = re.findall(r"^ *```yaml\n(.+?)^ *```", hour.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    file = tmp_path / "deploy_ops.yaml"
    file.write_text(policy, encoding="utf-8")
    assert check_files([file]) == []
