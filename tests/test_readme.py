"""README and docs keep what they promise: links lead somewhere, named files exist, every policy key is explained."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

from include.deploy_ops.core.policy.keys import Policy
from include.deploy_ops.core.text.schema import StrictModel

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
README_LINES_MAX = 150
PICTURE_NODES_MAX = 10
PAGES = (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
MADE = set((ROOT / ".gitignore").read_text(encoding="utf-8").split())
PRODUCT = ROOT / "include" / "deploy_ops"

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TOKEN = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PATH = re.compile(r"\.?[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)*/?")
SUFFIXES = (".py", ".md", ".yaml", ".toml", ".txt", ".in", ".png", ".js", ".css", ".html", ".json")

OTHERS_FILES = {
    "owner/name": "how a repository is written",
    "deploy-ops/preview": "a commit status",
    "refs/heads/": "a prefix in Git",
    "refs/heads/x": "a ref",
    "refs/tags/x": "a ref",
    "2026-12-20/2027-01-03": "days",
    "Europe/Berlin": "a time zone",
    "deployments/": "a folder of the repository that is deployed",
    "deployments/preview.yaml": "a template in it",
    "preview.yaml": "likewise",
    "preview.snapshot.yaml": "its snapshot",
}
"""What looks like a file of ours and is none."""


def strip_code(text: str) -> str:
    """Return the text without its fenced blocks."""
    return FENCE.sub("", text)


def find_links(text: str) -> list[str]:
    return LINK.findall(strip_code(text))


def list_anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    titles = [re.sub(r"[`*]", "", title) for title in HEADING.findall(strip_code(text))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def find_paths(text: str) -> Iterator[str]:
    """Yield what stands in backticks and reads like a file or folder."""
    for token in TOKEN.findall(strip_code(text)):
        if PATH.fullmatch(token) and ("/" in token or token.endswith(SUFFIXES)):
            yield token


def is_there(path: str) -> bool:
    """Whether it is a file or folder, from the top or below the product's package, or one that make makes."""
    if path in MADE:
        return True
    exact = [base / path for base in (ROOT, PRODUCT)]
    return any(each.is_dir() if path.endswith("/") else each.exists() for each in exact)


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= README_LINES_MAX


def test_its_picture_is_small() -> None:
    (picture,) = re.findall(r"```mermaid\n(.*?)```", TEXTS["README.md"], re.DOTALL)
    assert 0 < len(re.findall(r"^\s*\w+\[\"", picture, re.MULTILINE)) <= PICTURE_NODES_MAX


@pytest.mark.parametrize("page", [name for name in TEXTS if name.startswith("docs/")])
def test_a_page_says_first_what_it_answers_and_the_readme_leads_to_it(page: str) -> None:
    title, blank, question, *_ = TEXTS[page].splitlines()
    assert title.startswith("# ")
    assert not blank
    assert re.fullmatch(r"\*\*.+\?\*\*", question)
    assert f"]({page})" in TEXTS["README.md"]


@pytest.mark.parametrize(("page", "link"), [(page, link) for page, text in TEXTS.items() for link in find_links(text)])
def test_every_link_leads_somewhere(page: str, link: str) -> None:
    if link.startswith("https://"):
        return
    name, _, anchor = link.partition("#")
    target = ((ROOT / page).parent / name).resolve() if name else ROOT / page
    assert target.exists()
    if anchor:
        assert anchor in list_anchors(target.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("page", "path"), [(page, path) for page, text in TEXTS.items() for path in sorted(set(find_paths(text)))]
)
def test_every_file_that_a_page_names_exists(page: str, path: str) -> None:
    assert is_there(path) or path in OTHERS_FILES, f"{page} names {path}"


def test_files_are_found_in_the_pages() -> None:
    assert {"include/deploy_ops.yaml", "dags/policy_errors.py", "packages.txt"} <= {
        path for text in TEXTS.values() for path in find_paths(text)
    }


@pytest.mark.parametrize("name", sorted(OTHERS_FILES))
def test_what_is_no_file_of_ours_is_named_somewhere(name: str) -> None:
    assert any(name in find_paths(text) for text in TEXTS.values())
    assert not is_there(name)


@pytest.mark.parametrize(
    "target", sorted({each for text in TEXTS.values() for each in re.findall(r"`make ([a-z0-9]+)", text)})
)
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


def test_every_make_target_is_explained() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    explained = set(re.findall(r"^\| `make ([a-z0-9-]+)`", TEXTS["docs/development.md"], re.MULTILINE))
    assert explained == set(phony.split())


def test_every_folder_of_the_product_is_explained() -> None:
    folders = {path.parent.relative_to(PRODUCT).as_posix() for path in PRODUCT.rglob("__init__.py")} - {"."}
    layers, _, _ = TEXTS["docs/development.md"].partition("## A push")
    explained = set(re.findall(r"^\| `([a-z_/]+)/` \|", layers, re.MULTILINE))
    assert explained == folders


def test_every_metric_is_explained() -> None:
    sources = [path.read_text(encoding="utf-8") for path in PRODUCT.rglob("metrics.py")]
    sent = {name for text in sources for name in re.findall(r'"(deploy_ops\.[a-z_.]+)"', text)}
    explained = set(re.findall(r"^\| `(deploy_ops\.[a-z_.]+)`", TEXTS["docs/operating.md"], re.MULTILINE))
    assert explained == sent
    assert sent


def list_keys(model: type[StrictModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key of the policy by its path, as the page writes it."""
    for name, field in model.model_fields.items():
        path = f"{above}{field.alias or name}"
        yield path, field
        for inner, step in find_models(field.annotation):
            yield from list_keys(inner, f"{path}{step}.")


def find_models(annotation: Any, step: str = "") -> Iterator[tuple[type[StrictModel], str]]:
    """Yield the models in a type, and how the path goes on to their keys."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        if isinstance(annotation, type) and issubclass(annotation, StrictModel):
            yield annotation, step
    elif origin is Annotated:
        yield from find_models(arguments[0], step)
    elif origin is tuple:
        yield from find_models(arguments[0], f"{step}[]")
    elif origin is dict:
        yield from find_models(arguments[1], f"{step}.<name>")
    elif origin in {Union, types.UnionType}:
        for each in arguments:
            yield from find_models(each, step)
    else:
        assert origin is Literal, f"the page's test knows no {annotation}"


def describe_default(field: FieldInfo) -> str:
    """Return a key's default as the page writes it."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, StrictModel):
        return "its defaults"
    if default is None or default in ((), {}):
        return "none"
    values = default if isinstance(default, tuple) else (default,)
    return ", ".join(f"`{_write(value)}`" for value in values)


def _write(value: Any) -> str:
    if isinstance(value, timedelta):
        minutes, rest = divmod(value.seconds, 60)
        assert not rest
        assert not (minutes and value.days)
        return f"{minutes}m" if minutes else f"{value.days}d"
    return str(value).lower() if isinstance(value, bool) else str(value)


KEYS: Mapping[str, FieldInfo] = dict(list_keys(Policy))
ROWS = re.findall(r"^\| `([^`]+)` \| (.+) \| (.+) \| (.+) \|$", TEXTS["docs/policy.md"], re.MULTILINE)


def test_every_policy_key_is_explained_and_every_explained_one_exists() -> None:
    assert [row[0] for row in ROWS] == list(dict.fromkeys(row[0] for row in ROWS))
    assert {row[0] for row in ROWS} == set(KEYS)
    assert {"control_plane", "projects[].targets.<name>.pull_request.from", "projects[].notify[].on"} <= set(KEYS)


@pytest.mark.parametrize(("key", "default"), [(row[0], row[2]) for row in ROWS])
def test_every_default_of_the_policy_is_told(key: str, default: str) -> None:
    assert default == describe_default(KEYS[key])


def test_every_choice_of_the_policy_is_told() -> None:
    told = {row[0]: set(TOKEN.findall(row[1])) for row in ROWS}
    choices = {
        key: set(get_args(field.annotation)) for key, field in KEYS.items() if get_origin(field.annotation) is Literal
    }
    assert choices
    assert {key: told[key] for key in choices} == choices
