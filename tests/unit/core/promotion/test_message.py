"""The commit message of a promotion: written and read back exactly, and never read out of anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.promotion.message import Trailers, format_message, is_own_commit, parse_trailers

SHAS = st.text("0123456789abcdef", min_size=40, max_size=40)
TRAILERS = st.builds(
    Trailers,
    control_plane=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,39}", fullmatch=True),
    project=st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True),
    into=SHAS,
    tree=SHAS,
    pulls=st.lists(st.tuples(st.integers(1, 999_999), SHAS), max_size=8).map(tuple),
)
EXAMPLE = Trailers("acme-prod", "shop", "a" * 40, "b" * 40, ((12, "c" * 40), (15, "d" * 40)))
MESSAGE = format_message(EXAMPLE, "staging", "astro_deploy")


@given(trailers=TRAILERS, is_stripped=st.booleans())
def test_what_is_written_is_read_back(trailers: Trailers, is_stripped: bool) -> None:
    message = format_message(trailers, "staging", "astro_deploy")
    assert parse_trailers(message if is_stripped else f"{message}\n") == trailers


def test_the_first_line_is_for_people_and_mentions_no_pull_request_to_github() -> None:
    assert MESSAGE.splitlines()[0] == "Promote pull requests 12, 15 to astro_deploy"
    assert "#" not in MESSAGE
    none = Trailers("acme-prod", "shop", "a" * 40, "b" * 40, ())
    subject = format_message(none, "staging", "astro_deploy").splitlines()[0]
    assert subject == "Bring astro_deploy to staging: no pull request is open"
    many = Trailers("acme-prod", "shop", "a" * 40, "b" * 40, tuple((number, "c" * 40) for number in range(1, 9)))
    subject = format_message(many, "staging", "astro_deploy").splitlines()[0]
    assert subject == "Promote pull requests 1, 2, 3, 4, 5 and 3 more to astro_deploy"


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Fix it",
        f"{MESSAGE}\nCo-authored-by: Mira <mira@acme.example>",
        f"{MESSAGE}\n\nReviewed by Mira",
        f"Revert it\n\nThis reverts commit {'a' * 40}.",
        MESSAGE.replace("Deploy-Ops-Tree", "deploy-ops-tree"),
        MESSAGE.replace(": shop", ": Shop"),
        MESSAGE.replace("a" * 40, "a" * 39),
        MESSAGE.replace(" 12 ", " 012 "),
        MESSAGE.replace("\n", "\r\n"),
        MESSAGE.replace("\n\n", "\n"),
        f"  {MESSAGE}".replace("\nDeploy-Ops-Project", "\n  Deploy-Ops-Project"),
    ],
)
def test_anything_else_is_not_ours(message: str) -> None:
    assert parse_trailers(message) is None


def test_a_commit_is_ours_with_our_trailers_and_the_tree_that_they_name() -> None:
    assert is_own_commit(MESSAGE, "b" * 40, "acme-prod", "shop")
    assert not is_own_commit(MESSAGE, "b" * 40, "acme-test", "shop")
    assert not is_own_commit(MESSAGE, "b" * 40, "acme-prod", "etl")
    assert not is_own_commit(MESSAGE, "c" * 40, "acme-prod", "shop")
    assert not is_own_commit("Fix it", "b" * 40, "acme-prod", "shop")
