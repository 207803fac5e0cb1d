"""Who may approve: nobody with a part in it, never everybody by mistake; answers are judged like the question."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.policy.keys import Approvers
from include.deploy_ops.core.target.approvers import (
    ASKED,
    PUSHED,
    WROTE,
    Panel,
    describe_nobody,
    form_panel,
    refuse_answer,
)

PEOPLE = {"Ada-L": "ada", "bob-gh": "bob", "eve": "7"}
USERS = ("ada", "bob", "7")


def form(*users: str, requester: str = "", is_strict: bool = True, **parts: Any) -> Panel:
    approvers = Approvers.model_construct(users=users, not_requester=is_strict)
    return form_panel(approvers, PEOPLE, requester=requester, **{"authors": (), **parts})


def test_without_the_key_whoever_may_answer_counts() -> None:
    panel = form_panel(None, PEOPLE, requester="ada", authors=["ada-l"])
    assert panel == Panel()
    assert (panel.users, panel.is_nobody, refuse_answer(panel, "x", "x")) == (None, False, "")


def test_users_alone_exclude_nobody() -> None:
    panel = form(*USERS, is_strict=False, requester="ada", authors=["ada-l", "stranger"])
    assert panel == Panel(USERS)


def test_who_asked_wrote_or_pushed_is_left_out_and_why_is_said() -> None:
    panel = form(*USERS, "zoe", requester="zoe", authors=["ADA-l"], pushers=["bob-gh", "ada-l"])
    assert panel.users == ("7",)
    assert panel.excluded == {"zoe": ASKED, "ada": WROTE, "bob": PUSHED}


def test_who_is_not_mapped_is_told_but_no_bot_and_nobody_without_an_account() -> None:
    panel = form(*USERS, authors=["stranger", "renovate[bot]", ""], pushers=["Other", "stranger"])
    assert panel.unmapped == ("stranger", "Other")
    assert panel.users == USERS


def test_nobody_left_is_seen_and_told_without_a_name() -> None:
    panel = form("ada", "bob", requester="ada", authors=["bob-gh"])
    assert panel.is_nobody
    said = describe_nobody(panel, "production")
    assert said.startswith(f"nobody may approve a deploy to production: each of its approvers {ASKED} or {WROTE};")
    assert "ada" not in said
    assert "bob" not in said
    assert not form(requester="ada", authors=["bob-gh"]).is_nobody  # whoever may answer: nobody knows who that is


@pytest.mark.parametrize(
    ("panel", "user", "name", "said"),
    [
        (form(*USERS), "ada", "Ada Lovelace", ""),
        (form(*USERS), "mallory", "ada", "'ada' (id 'mallory') is not among the target's approvers"),
        (form(*USERS), "ADA", "Ada", "'Ada' (id 'ADA') is not among the target's approvers"),
        (form(*USERS), "", "", "Airflow does not tell who approved"),
        (form(*USERS, requester="ada@acme.example"), "7", "ADA@acme.example", f"may not approve: {ASKED}"),
        (form(requester="ada"), "9", "ada", f"'ada' may not approve: {ASKED}"),
        (form(authors=["eve"]), "7", "Eve", f"'Eve' may not approve: {WROTE}"),
        (form(authors=["eve"]), "8", "Eve", ""),
        (form(authors=["stranger"]), "8", "stranger", ""),
        (form(requester="ada"), "", "", "Airflow does not tell who approved"),
    ],
)
def test_an_answer_counts_or_it_is_said_why_not(panel: Panel, user: str, name: str, said: str) -> None:
    found = refuse_answer(panel, user, name)
    assert said in found
    assert bool(found) is bool(said)


ids = st.sampled_from(["ada", "Ada", "bob", "7", "zoe", "eve"])
logins = st.sampled_from(["ada-l", "ADA-L", "bob-gh", "eve", "stranger", "x[bot]", ""])
cases = st.fixed_dictionaries(
    {
        "approvers": st.builds(
            Approvers.model_construct,
            users=st.lists(ids, unique=True, max_size=4).map(tuple),
            not_requester=st.booleans(),
        ),
        "people": st.dictionaries(logins.filter(bool), ids, max_size=4),
        "requester": ids | st.just(""),
        "authors": st.lists(logins, max_size=4),
        "pushers": st.lists(logins, max_size=4),
    }
)


@given(cases, ids)
def test_question_and_answer_agree_and_nobody_is_never_everybody(case: dict[str, Any], user: str) -> None:
    panel = form_panel(
        case["approvers"], case["people"], **{key: case[key] for key in ("requester", "authors", "pushers")}
    )
    users = case["approvers"].users
    assert (panel.users is None) is (not users)
    if panel.users is not None:
        assert set(panel.users) <= set(users)
        assert panel.is_nobody is (panel.users == ())  # which Airflow would take for everybody
        assert (user in panel.users) is (not refuse_answer(panel, user, user))
    if case["approvers"].not_requester:
        has_part = {login.casefold() for login in (*case["authors"], *case["pushers"])}
        mine = {login.casefold() for login, each in case["people"].items() if each == user}
        is_last = len({login.casefold() for login in case["people"]}) == len(case["people"])
        if user == case["requester"] or (is_last and mine & has_part):
            assert refuse_answer(panel, user, "anything")


@given(cases, st.randoms(use_true_random=False))
def test_the_order_in_which_github_lists_people_changes_nothing(case: dict[str, Any], random: Any) -> None:
    parts = {key: case[key] for key in ("requester", "authors", "pushers")}
    shuffled = {**parts, "authors": random.sample(parts["authors"], len(parts["authors"]))}
    first, second = (form_panel(case["approvers"], case["people"], **each) for each in (parts, shuffled))
    assert (first.users, first.excluded) == (second.users, second.excluded)
