"""One glossary: page, comment, commit statuses and forms name states and work by the words of `docs/using.md`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.deploy_ops.core.feedback.text import name_state, render_comment
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.view.row import RowKind, State
from include.deploy_ops.run.forms import make_preview_params, make_promotion_params, make_target_params
from include.deploy_ops.run.job import INFER
from tests.worlds.values.feedback_examples import make_facts, make_row

ROOT = Path(__file__).parents[1]
GLOSSARY = (ROOT / "docs/using.md").read_text(encoding="utf-8").partition("\n## Words\n")[2]
WORDS = (ROOT / "plugins/deployments_page/words.js").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
THINGS, STATES, WORK = GLOSSARY.split("\n### ")[1:]


def list_terms(section: str) -> list[list[str]]:
    """Return a section's rows, each the words that mean the same, in lower case."""
    return [row.lower().split(", ") for row in ROW.findall(section) if row != "word"]


def read_object(name: str) -> dict[str, str]:
    """Return one object of the page's words: what it says by key; of a state its label."""
    body = re.search(rf"const {name} = {{(.*?)}};", WORDS, re.DOTALL)
    assert body, name
    label = "{ label: " if "label:" in body[1] else ""
    found = re.findall(rf'(\w[\w -]*)"?: {label}"([^"]+)"', body[1])
    assert len(found) > 1, name
    return dict(found)


TERMS = {term for section in (THINGS, STATES, WORK) for row in list_terms(section) for term in row}
HELD_STATES = [state for state in State if state is not State.DEPLOYING]


@pytest.mark.parametrize("state", HELD_STATES)
def test_page_and_comment_name_a_state_by_the_same_word_of_the_glossary(state: State) -> None:
    shown = read_object("STATES")[state.value].lower()
    assert shown == name_state(make_row(state=state))
    assert [shown] in list_terms(STATES)


def test_the_glossary_explains_each_state_of_the_page_and_no_other() -> None:
    shown = {label.lower() for label in (*read_object("STATES").values(), *read_object("GROUPS").values())}
    assert shown == {term for row in list_terms(STATES) for term in row}


@pytest.mark.parametrize("verb", Verb)
def test_page_and_comment_name_work_by_words_of_one_row(verb: Verb) -> None:
    told = name_state(make_row(state=State.DEPLOYING, verb=verb.value))
    shown = read_object("DOING")[verb.value].lower()
    (row,) = [row for row in list_terms(WORK) if row[0] == verb.value]
    assert {verb.value, told, shown} == set(row)


@pytest.mark.parametrize("make", [make_preview_params, make_promotion_params, make_target_params])
def test_what_a_form_offers_stands_in_the_glossary(make: Callable[[], dict[str, Any]]) -> None:
    choices = {
        name: param.schema["values_display"] for name, param in make().items() if "values_display" in param.schema
    }
    for action, words in choices["action"].items():
        assert words.lower().startswith(action)
        assert action in TERMS
    deploys = {words.lower() for value, words in choices.get("deploy_type", {}).items() if value != INFER}
    assert deploys <= {words.lower() for words in read_object("DEPLOYS").values()}


def test_kinds_of_environments_and_deploys_stand_in_the_glossary() -> None:
    kinds = {kind.value for kind in RowKind}
    assert kinds == set(read_object("KIND"))
    deploys = {words.lower() for words in read_object("DEPLOYS").values()}
    assert kinds | deploys <= {term for row in list_terms(THINGS) for term in row}


def test_a_link_to_a_question_has_one_name_on_page_and_comment_and_in_the_glossary() -> None:
    page = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "plugins/deployments_page").glob("*.js"))
    named = re.findall(r'approvalLink\(.*?"([^"]+ the question)"\)*', page)
    assert len(named) == 3
    asking = make_row(state=State.APPROVAL, run_dag="shop.production.request", run_id="manual__1")
    named += re.findall(r"\[([^]]*question)\]", render_comment(make_facts(), 1, [asking]))
    named += re.findall(r"\*([^*]+ the question)\*", GLOSSARY)
    assert named == ["Open the question"] * 5


def test_the_glossary_says_nothing_twice() -> None:
    terms = [term for section in (THINGS, STATES, WORK) for row in list_terms(section) for term in row]
    assert {term for term in terms if terms.count(term) > 1} == {"deploy", "deploying"}  # a thing, and work; a state
