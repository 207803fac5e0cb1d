"""The change type against Git over this repository's own history: every commit beside its parent, and far pairs."""

from __future__ import annotations

import random
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot
from tests.worlds.values.git_store import GitReader, clean_environment
from tests.worlds.values.verdict_by_git import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = Path(__file__).parents[4]
COMMITS_MAX = 60
FAR_PAIRS = 60
RULES = (
    ChangeRules(".", ("*.md", "tests/", ".ci/")),
    ChangeRules("sandbox/seed", ("*.md", "tests/"), ("include", "Dockerfile", "sandbox/github")),
    ChangeRules("include", ("*", "!deploy_ops/", "!*.py"), ("dags",)),
)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    ran = subprocess.run(
        ["git", "rev-parse", "--show-toplevel"],
        cwd=TOP,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode or Path(ran.stdout.strip()) != TOP.resolve():
        pytest.fail(f"{TOP} is no Git checkout ({ran.stderr.strip()}): run the tests in a clone of the repository")
    with GitReader(TOP) as git:
        yield Comparison.build(git, tmp_path_factory.mktemp("ours"))


def test_every_commit_beside_its_neighbour_and_far_pairs(comparison: Comparison) -> None:
    history = comparison.git.list_commits(f"--max-count={COMMITS_MAX}")
    if len(history) < 2:
        pytest.fail("the checkout has one commit: it is shallow; run `git fetch --unshallow`, or clone with history")
    chance = random.Random(len(history))  # noqa: S311 - the same pairs each time
    pairs = [*pairwise(history), *(_draw_pair(chance, history) for _ in range(FAR_PAIRS))]
    for rules in RULES:
        comparison.learn_ignored(rules, pairs)
        for older, newer in (*pairs, *((newer, older) for older, newer in pairs)):
            answer = comparison.compare((older, older), newer, rules)
            assert answer is None or answer[0].change_type is answer[1], (rules, older, newer, answer)
    assert comparison.triples == len(RULES) * len(pairs) * 2


def _draw_pair(chance: random.Random, history: list[Snapshot]) -> tuple[Snapshot, Snapshot]:
    older, newer = chance.sample(history, 2)
    return older, newer
