"""The tour's policy as a whole, the DAGs that it gives, and the words by which the tour finds what it awaits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from demo import monorepo, release, tour, words
from demo.author import REPOSITORY
from demo.stack import POLICY
from demo.witness import DAGS, DOCTOR_DAG, ORPHANS_DAG
from include.deploy_ops.core.feedback.commands import CONFUSED, EYES, ROCKET, Word, read_asked
from include.deploy_ops.core.feedback.values import gather_facts
from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.core.target.gates import Elsewhere, judge_soak
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.observation.concerns import UNCHANGED
from include.deploy_ops.run.scope import make_scope

LOADED = load_policy(tour.make_policy(POLICY.read_text(encoding="utf-8")), "the tour's policy")
SCOPES = {each.name: make_scope(LOADED, each) for each in LOADED.policy.projects}
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def test_the_product_takes_all_of_it() -> None:
    assert not LOADED.problems
    assert [each.repository for each in LOADED.policy.projects] == [REPOSITORY, *2 * [monorepo.REPOSITORY]]


def test_its_dags_are_those_that_the_demo_unpauses() -> None:
    assert sorted([*DAGS, *tour.DAGS]) == sorted(
        [DOCTOR_DAG, ORPHANS_DAG, *(dag for scope in SCOPES.values() for dag in scope.dags)]
    )


def test_production_waits_for_what_staging_proved() -> None:
    targets = SCOPES["data_platform"].project.targets
    rules = targets["production"].requires
    assert rules is not None
    assert (rules.verified, rules.soak, rules.checks, rules.windows) == (
        "staging",
        timedelta(seconds=release.SOAK_S),
        None,
        None,
    )
    assert targets["staging"].verify is not None
    assert targets["production"].approval == "required"


def test_what_soaks_says_so_in_the_words_that_the_tour_awaits() -> None:
    verified = Verification("deploy-1", "0" * 40, Proof.VERIFIED, NOW)
    said = judge_soak(Elsewhere("staging", verification=verified), timedelta(seconds=release.SOAK_S), NOW).unmet
    assert said.startswith(release.SOAKS)


def test_words_count_in_one_project_and_are_such_as_keep_a_preview() -> None:
    assert [name for name, scope in SCOPES.items() if scope.is_listening] == ["data_platform"]
    asked = read_asked(words.WORDS)
    assert asked is not None
    assert (asked.word, asked.rest) == (Word.KEEP, ())
    assert ([EYES, ROCKET], [CONFUSED]) == (words.DONE, words.REFUSED)


def test_a_branch_of_the_shared_repository_gets_previews_by_what_it_changes() -> None:
    assert {name: scope.previews_by_change for name, scope in SCOPES.items()} == {
        "data_platform": False,
        monorepo.CHANGED: True,
        monorepo.UNCHANGED: True,
    }
    assert monorepo.SAID == UNCHANGED
    for name in monorepo.PROJECTS:
        scope = SCOPES[name]
        assert scope.project.root == name
        assert scope.project.wants_preview(monorepo.BRANCH)
        facts = gather_facts(scope.project, "", is_alone=not scope.shares_repository, airflow_url="", web_url="")
        assert facts.name_context("preview") == monorepo.name_context(name)
