"""The verdict: failed is only what is shown not to work, and whatever was not seen leaves it unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from include.deploy_ops.core.verification.difference import DagDifference
from include.deploy_ops.core.verification.facts import AirflowDag, AirflowFacts, ImportFault
from include.deploy_ops.core.verification.judging import (
    BROKEN_MAX,
    NO_DAG,
    PART_BYTES_MAX,
    Findings,
    find,
    judge_findings,
    mask_findings,
    tell_changes,
    tell_errors,
)
from include.deploy_ops.core.verification.parsing import Deployed, ParseWatch
from include.deploy_ops.core.verification.verdict import BrokenFile, DagChange, Proof, Verification

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TRACE = (
    'Traceback (most recent call last):\n  File "/usr/local/airflow/dags/a.py", line 3, in <module>\n'
    "    import moon\nModuleNotFoundError: No module named 'moon'\n"
)
BROKEN = BrokenFile("a.py", 3, "ModuleNotFoundError: No module named 'moon'", identity="i1")
_VERDICT = TypeAdapter(Verification)


def judge(findings: Findings, *, fails: bool = True) -> Verification:
    return judge_findings(findings, "d1", "c" * 40, NOW, 12.34, fails=fails, compared="production")


def look(*dags: AirflowDag, faults: tuple[ImportFault, ...] = (), seconds: float = 120) -> AirflowFacts:
    return AirflowFacts(NOW + timedelta(seconds=seconds), dags, faults)


def parsed(dag_id: str, file: str) -> AirflowDag:
    return AirflowDag(dag_id, file, NOW + timedelta(seconds=110), 1.0)


def fault(file: str, trace: str = TRACE) -> ImportFault:
    return ImportFault(file, NOW + timedelta(seconds=110), trace)


def watch(facts: AirflowFacts, *files: str) -> ParseWatch:
    """Return what a first look at an idle Airflow and then this one taught."""
    return ParseWatch(Deployed(NOW, frozenset(files), frozenset())).look(AirflowFacts(NOW, (), ())).look(facts)


@pytest.mark.parametrize(
    ("findings", "proof", "said"),
    [
        (Findings(), Proof.VERIFIED, "verified"),
        (Findings((BROKEN,)), Proof.FAILED, "1 import error"),
        (Findings((BROKEN, replace(BROKEN, file="b.py"))), Proof.FAILED, "2 import errors"),
        (Findings((BROKEN,), problem="not parsed yet: b.py"), Proof.FAILED, "1 import error"),
        (Findings(problem="no connection"), Proof.UNKNOWN, "not verified: no connection"),
        (Findings((replace(BROKEN, is_muted=True),)), Proof.VERIFIED, "verified, 1 import error muted"),
        (Findings((replace(BROKEN, is_shared=True),)), Proof.VERIFIED, "verified, 1 import error not of this change"),
        (Findings(lack="nothing was compared: HTTP 503"), Proof.VERIFIED, "verified; nothing was compared: HTTP 503"),
    ],
)
def test_the_verdict_in_a_line(findings: Findings, proof: Proof, said: str) -> None:
    verdict = judge(findings)
    assert (verdict.proof, verdict.said, verdict.seconds) == (proof, said, 12.3)


def test_errors_that_are_only_reported_fail_nothing_and_are_told() -> None:
    verdict = judge(Findings((BROKEN,)), fails=False)
    assert (verdict.proof, verdict.said) == (Proof.VERIFIED, "verified, 1 import error reported only")
    assert verdict.broken == (BROKEN,)


def test_each_error_is_told_with_file_and_line() -> None:
    muted = replace(BROKEN, file="b.py", line=0, is_muted=True)
    verdict = judge(Findings((muted, BROKEN)))
    assert tell_errors(verdict) == "1 import error\ndags/a.py, line 3: ModuleNotFoundError: No module named 'moon'"
    assert verdict.broken == (BROKEN, muted)  # what fails it comes first


def test_dags_are_told_by_what_became_of_them() -> None:
    changes = (DagChange("x", "new"), DagChange("y", "changed", "tags +a"), DagChange("z", "new", "no schedule"))
    verdict = judge(Findings(difference=DagDifference(changes, (DagChange("w", "gone"),))))
    assert tell_changes(verdict) == (
        "new: x, z (no schedule)",
        "changed: y (tags +a)",
        "otherwise than in production: w (gone)",
    )


def test_what_was_found_is_of_the_deployed_code_and_told_apart() -> None:
    facts = look(parsed("one", "b.py"), faults=(fault("a.py"), fault("c.py")))
    theirs = AirflowFacts(NOW, (parsed("old", "a.py"),), (fault("c.py"),))
    found = find(watch(facts, "a.py", "b.py", "c.py"), facts, theirs, touched={"a.py", "b.py"}, is_public=False)
    assert [(each.file, each.is_shared) for each in found.broken] == [("a.py", False), ("c.py", True)]
    assert {each.dag_id: each.what for each in found.difference.changes} == {"old": "unknown", "one": "new"}
    assert found.problem == ""


def test_errors_that_were_not_read_leave_it_open_although_each_that_was_is_excused() -> None:
    facts = replace(look(parsed("one", "b.py"), faults=(fault("a.py"),)), faults_left=3)
    theirs = AirflowFacts(NOW, (), (fault("a.py"),))
    found = find(watch(facts, "a.py", "b.py"), facts, theirs, touched=set())
    assert found.broken[0].is_shared
    verdict = judge(found)
    assert (verdict.proof, verdict.said) == (Proof.UNKNOWN, "not verified: 3 more import errors were not read")


def test_where_not_all_errors_of_the_other_were_read_those_of_unchanged_files_fail_nothing() -> None:
    facts = look(parsed("one", "b.py"), faults=(fault("a.py"),))
    theirs = replace(AirflowFacts(NOW, (), (fault("z.py"),)), faults_left=3)
    verdict = judge(find(watch(facts, "a.py", "b.py"), facts, theirs, touched=set()))
    assert verdict.proof is Proof.UNKNOWN
    assert judge(find(watch(facts, "a.py", "b.py"), facts, theirs, touched={"a.py"})).proof is Proof.FAILED


def test_strangers_are_told_the_type_alone() -> None:
    facts = look(faults=(fault("a.py"),))
    (told,) = find(watch(facts, "a.py"), facts, None, touched={"a.py"}).broken
    assert "moon" not in told.error
    assert told.error.startswith("ModuleNotFoundError")


def test_no_dag_and_no_error_proves_nothing() -> None:
    facts = look()
    assert find(watch(facts), facts, None, touched=()).problem == NO_DAG
    assert judge(find(None, None, None, touched=(), problem="no answer")).said == "not verified: no answer"


def test_an_error_that_may_be_anothers_fails_nothing_where_nothing_could_be_compared() -> None:
    facts = look(faults=(fault("a.py"), fault("c.py")))
    seen = watch(facts, "a.py", "c.py")
    lack = "nothing was compared: HTTP 503"
    doubted = judge(find(seen, facts, None, touched=(), lack=lack))
    assert doubted.proof is Proof.UNKNOWN
    assert doubted.said == f"not verified: 2 import errors in files that did not change, and {lack}"
    assert judge(find(seen, facts, None, touched={"a.py"}, lack=lack)).proof is Proof.FAILED


@pytest.mark.parametrize("file", [f"{'deep/' * 60}a.py", "two\u202espy.py", "a  b.py"])
def test_an_error_of_a_changed_file_fails_it_however_the_file_is_called(file: str) -> None:
    """People are shown another name: shorter, and with every character seen."""
    facts = look(parsed("one", "b.py"), faults=(fault(file),))
    found = find(watch(facts, file, "b.py"), facts, None, touched={file}, lack="nothing was compared: HTTP 503")
    assert judge(found).proof is Proof.FAILED


def test_what_looks_like_a_secret_is_masked_everywhere() -> None:
    found = Findings(
        (replace(BROKEN, file="s3cret.py", error="KeyError: s3cret"),),
        DagDifference((DagChange("s3cret", "new", "tags +s3cret"),), (DagChange("b-s3cret", "gone"),)),
        "s3cret",
        "s3cret",
    )
    assert "s3cret" not in str(mask_findings(found, lambda text: text.replace("s3cret", "***")))


@given(
    st.lists(st.tuples(st.text(max_size=400), st.text(max_size=900), st.booleans()), max_size=40),
    st.lists(st.tuples(st.text(max_size=250), st.text(max_size=900)), max_size=90),
    st.text(max_size=5000),
)
def test_a_verdict_has_a_bound_and_is_read_as_written(
    errors: list[tuple[str, str, bool]], dags: list[tuple[str, str]], problem: str
) -> None:
    broken = tuple(BrokenFile(file, 1, error, is_muted) for file, error, is_muted in errors)
    changes = tuple(DagChange(dag_id, "changed", how) for dag_id, how in dags)
    verdict = judge(Findings(broken, DagDifference(changes, changes), problem))
    stored = _VERDICT.dump_python(verdict, mode="json", exclude_defaults=True)
    assert len(json.dumps(stored)) < 4 * PART_BYTES_MAX
    assert len(verdict.broken) <= BROKEN_MAX
    assert _VERDICT.validate_python(stored) == verdict
    assert "\n" not in verdict.said
    assert (verdict.proof is Proof.FAILED) == any(not is_muted for *_, is_muted in errors)
