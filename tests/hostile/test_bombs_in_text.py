"""Documents, answers, patterns and texts made to be slow: each is read, refused or matched in bounded time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import Connection

from include.deploy_ops.core.change.ignore import IgnoreRules
from include.deploy_ops.core.errors import DeployOpsError, ObservationError
from include.deploy_ops.core.model import RULE_LENGTH_MAX
from include.deploy_ops.core.naming import parse_mark, parse_note
from include.deploy_ops.core.policy.keys import is_matched
from include.deploy_ops.core.promotion.message import parse_trailers
from include.deploy_ops.core.text.document import DEPTH_MAX, LENGTH_MAX, DocumentError, read_document
from include.deploy_ops.core.text.markdown import quote_text, write_block, write_code, write_plain_link, write_words
from include.deploy_ops.hooks.astro.cli_endings import explain_ending, find_applied_id, hide_signatures
from include.deploy_ops.hooks.astro.connection import read_astro_connection
from include.deploy_ops.hooks.json_body import read_json
from include.deploy_ops.hooks.registry.repository import parse_image
from include.deploy_ops.process.command import CommandResult
from include.deploy_ops.process.redaction import RedactedStream, redact_shapes, redact_urls
from tests.hostile.conftest import within

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH = 100_000


def merge(width: int, depth: int) -> str:
    """Return a few hundred bytes in which each mapping merges the one before `width` times."""
    levels = (f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * width)}]}}\n" for n in range(1, depth))
    return "".join(["a0: &a0 {x: 1}\n", *levels])


DOCUMENTS = {
    "merge keys": merge(9, 10),
    "merge keys in a Deployment's file": "deployment:\n" + "".join(f"  {line}\n" for line in merge(9, 10).splitlines()),
    "aliases": "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
    "an alias of itself": "a: &a [*a]\n",
    "an anchor that nobody names": "password: &secret word\n",
    "nested lists": "[" * LENGTH,
    "nested mappings": "{a: " * (LENGTH // 4),
    "nested dashes": "- " * (LENGTH // 2),
    "nested question marks": "? " * (LENGTH // 2),
    "nested indents": "\n".join(" " * depth + "a:" for depth in range(400)),
    "nested JSON": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "many lists": "[" + "[]," * (LENGTH // 3) + "]",
    "many mappings": "- {a: b}\n" * (LENGTH // 9),
    "many keys": "{" + ",".join(f"? a{number}" for number in range(LENGTH // 9)) + "}",
    "many documents": "---\n" * (LENGTH // 4),
    "directives": "%TAG ! !\n" * (LENGTH // 9),
    "a tag": "!!python/object/apply:os.system ['true']\n",
    "a long document": "a: b\n" * LENGTH,
}


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_that_is_a_bomb_is_refused(text: str) -> None:
    with within(5), pytest.raises(DocumentError):
        read_document(text)


def test_a_merge_key_is_a_key_as_any_other() -> None:
    with within(5):
        assert read_document("a:\n  <<: {b: 1}\n") == {"a": {"<<": {"b": 1}}}


@pytest.mark.parametrize("key", ["deployment.metadata.deployment_id", "DEPLOYMENT", "deploymenT", "deplo\u0443ment"])
def test_dotted_and_lookalike_keys_stand_for_nothing_else(key: str) -> None:
    with within(5):
        assert read_document(f"{key}: x\n") == {key: "x"}
        result = CommandResult(("astro",), 0, f"deployment:\n  x: 1\n{key}:\n  metadata: {{deployment_id: x}}\n", "", 1)
        with pytest.raises(DeployOpsError):
            find_applied_id("create", result)


@pytest.mark.parametrize("text", [merge(9, 10), "deployment: " + "[" * LENGTH, '{"a":' * LENGTH, "{" * LENGTH])
def test_a_document_that_the_cli_prints_is_read_likewise(text: str) -> None:
    printed = text if text.startswith("{") else f"deployment: {{}}\n{text}"
    with within(5), pytest.raises(DeployOpsError):
        find_applied_id("create", CommandResult(("astro",), 0, printed, "", 1.0))


@pytest.mark.parametrize(
    "body",
    [
        "[" * LENGTH,
        '{"a":' * LENGTH,
        "9" * LENGTH,
        f'{{"id": {"9" * 5_000}}}',
        "1e999",
        "[-1e400]",
        '"\\ud800"',
        "\xff",
    ],
    ids=["lists", "objects", "digits", "an id", "infinite", "less than all", "half a character", "no UTF-8"],
)
def test_an_answer_that_is_a_bomb_is_refused(body: str) -> None:
    with within(5), pytest.raises(ValueError, match=r"."):
        read_json(body.encode("latin-1"))


def test_a_connection_that_is_a_bomb_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = Connection(conn_id="astro", conn_type="http", password="t")  # noqa: S106 - an example
    object.__setattr__(deep, "extra", '{"a":' * LENGTH)
    monkeypatch.setattr(Connection, "get", lambda _: deep)
    with within(5), pytest.raises(ObservationError, match="extra is not JSON"):
        read_astro_connection("astro")


def end_call(text: str) -> object:
    return explain_ending("deploy", CommandResult(("astro",), 1, text, f"Error: {text}", 1.0))


def stream(text: str) -> list[str]:
    taken = RedactedStream([])
    return [*taken.take(text.encode()), *taken.finish()]


def try_image(text: str) -> None:
    for image in (text, f"host.example/{text}"):
        with pytest.raises(DeployOpsError):
            parse_image(f"{image}!")


READERS: dict[str, Callable[[str], object]] = {
    "masked tokens": redact_shapes,
    "masked URLs": redact_urls,
    "a command's stream": stream,
    "signed addresses": hide_signatures,
    "an ending of the CLI": end_call,
    "a deploy's note": parse_note,
    "a Deployment's mark": parse_mark,
    "a promotion's message": parse_trailers,
    "an image's name": try_image,
    "a quoted text": quote_text,
    "words": write_words,
    "code": write_code,
    "a block": lambda text: write_block(text, 10, 1_000),
    "a link": lambda text: write_plain_link("x", f"https://{text}"),
    "branch patterns": lambda text: is_matched(text, ("*a*a*a*a*b", "*?-*[ab]*-*c", "*" * 50 + "z")),
}
TEXTS = {
    "question marks": "?" * LENGTH,
    "queries": "?a-" * (LENGTH // 3),
    "named queries": "?&token" * (LENGTH // 7),
    "web tokens that never end": "eyJ-" * (LENGTH // 4),
    "web tokens behind dashes": "-eyJ" * (LENGTH // 4),
    "halves of web tokens": "eyJaaaaaaaa." * (LENGTH // 12),
    "beginnings of keys": "-----BEGIN " * (LENGTH // 11),
    "keys": "-----BEGIN PRIVATE KEY" * (LENGTH // 22),
    "logins": "://a:" * (LENGTH // 5),
    "names of helpers": "http-basic " * (LENGTH // 11),
    "helpers and blanks": "http-basic a" + " " * LENGTH,
    "blanks": " " * LENGTH,
    "blank and sign": " -" * (LENGTH // 2),
    "notes that never end": "[deploy-ops/1" + " a=b" * (LENGTH // 4),
    "notes": "[deploy-ops/1 a=b" * (LENGTH // 17),
    "trailers": "\n\nDeploy-Ops-Control-Plane: a\n" * (LENGTH // 30),
    "separators": "a-" * (LENGTH // 2),
    "underscores": "a__" * (LENGTH // 3),
    "dots": "a." * (LENGTH // 2),
    "folders": "a/" * (LENGTH // 2),
    "line ends": "\n" * LENGTH,
    "backticks": "`" * LENGTH,
    "pipes": "|`" * (LENGTH // 2),
    "endings": "deployment: " * (LENGTH // 12),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_no_text_is_slow(read: Callable[[str], object]) -> None:
    for text in TEXTS.values():
        with within(2):
            read(text)


RULES = {
    "stars": "*a" * 500 + "b",
    "stars in folders": "*a/" * 300 + "b",
    "doubled stars": "**/" * 340 + "b",
    "doubled stars and names": "**/a/" * 200 + "b",
    "doubled and single stars": "**/*a*a/" * 120 + "b",
    "question marks": "*?" * 500 + "b",
    "sets": "*[!b]" * 200 + "b",
    "open sets": "[:" * 500,
    "blanks": "a" + " " * 1_000 + "b",
    "backslashes": "\\" * 1_001,
}
PATHS = {
    "one name": "a" * 4_000,
    "a folder of a long name": "a" * 2_000 + "/" + "a" * 2_000,
    "folders": "/".join("a" * 80),
    "long folders": "/".join(["a" * 255] * 15),
    "pairs": "ab/" * 100 + "a",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_no_ignore_rule_is_slow(rule: str, path: str) -> None:
    with within(2):
        IgnoreRules([rule]).find_rule(path, is_folder=False)


def test_a_rule_is_as_long_as_a_person_writes_it() -> None:
    with pytest.raises(DeployOpsError, match=f"the most is {RULE_LENGTH_MAX}"):
        IgnoreRules(["*" * (RULE_LENGTH_MAX + 1)])


def test_folders_without_end_are_judged_once_each() -> None:
    rules = IgnoreRules(["**/b/**/c", "*.md", "docs/**"])
    folder = "x"
    with within(10):
        for _ in range(400):
            folder += "/" + "a" * 9
            assert rules.find_rule(f"{folder}/a.py", is_folder=False) is None


def test_bounds_are_those_of_a_long_honest_document() -> None:
    honest = json.dumps({f"key{number}": {"name": "x" * 40, "list": [1, 2]} for number in range(1_500)})
    assert len(honest) < LENGTH_MAX
    assert DEPTH_MAX > 20
    with within(5):
        assert len(read_document(honest.replace("}, ", "},\n "))) == 1_500
