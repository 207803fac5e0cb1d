"""Whatever becomes of deploys and verdicts: row, comment, commit status and stored verdict say the same."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from include.deploy_ops.core.plan.outcome import OUTCOMES_MAX, Outcome
from include.deploy_ops.core.verification.standing import awaits_proof, recall_verification
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.core.view.row import Row, State
from tests.worlds.values.faces import Faces, check_proof
from tests.worlds.values.feedback_examples import NOW, SAID, make_facts, make_outcome, make_target, name_run

proofs = st.one_of(st.none(), st.sampled_from(Proof))
steps = st.lists(
    st.tuples(
        st.sampled_from(["push", "deploy", "deploy", "ask", "answer", "calm"]),
        proofs,
        st.sampled_from([State.LIVE, State.LIVE, State.ASLEEP, State.UNHEALTHY, State.HELD]),
    ),
    max_size=12,
)


REASKED = ["ask", "push"]
"""Before an answer comes, a newer commit does."""


@dataclass
class Target:
    """A target's life as its rows tell it; `record` numbers its deploys."""

    unknown: str
    commits: int = 1
    record: int = 1
    deployed: str = ""
    flight: str = ""
    state: State = State.LIVE
    stored: Verification | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    steps: int = 0

    @property
    def head(self) -> str:
        """The newest commit."""
        return f"{self.commits:040x}"

    def live_on(self, what: str, proof: Proof | None, state: State) -> None:
        """Let something happen: a push, a deploy of the head that ends with this verdict, or a question about it."""
        self.steps += 1
        if what == "push":
            self.commits += 1
            self.flight = "deploy"
        elif what == "deploy":
            self.deployed, self.record, self.flight, self.state = self.head, self.record + 1, "", State.LIVE
            self._answer(proof)
            told = proof.value if proof else ""
            self.outcomes.append(make_outcome(self.head, run_id=name_run(self.head, attempt=self.steps), proof=told))
        elif what == "ask" and self.deployed and not self.flight:
            self.flight = "verify"
            self._answer(Proof.PENDING)
        elif what == "answer" and self.flight == "verify":
            self.flight = ""
            self._answer(proof)
        elif what == "calm" and not self.flight and self.deployed:
            self.state = state

    def _answer(self, proof: Proof | None) -> None:
        if proof is not None:
            self.stored = Verification(f"r{self.record}", self.deployed, proof, NOW, SAID[proof])

    def show(self) -> Row:
        """Return its row."""
        row = make_target(
            state=State.DEPLOYING if self.flight else self.state if self.deployed else State.WAITING,
            state_at=NOW + timedelta(minutes=self.steps),
            head=self.head,
            deployed=self.deployed,
            verb=self.flight,
            run_id=name_run(self.head, self.flight, attempt=self.steps) if self.flight else "",
            outcomes=tuple(self.outcomes[-OUTCOMES_MAX:]),
        )
        if not self.deployed:
            return row
        known = recall_verification(self.stored, f"r{self.record}", self.deployed, is_asking=bool(self.flight))
        is_awaited = awaits_proof(known, is_success_unknown=self.unknown == "success")
        return replace(row, verification=known, awaits_proof=is_awaited)


@given(steps, st.sampled_from(["pending", "success"]))
@example(
    [
        ("deploy", None, State.LIVE),
        ("deploy", Proof.FAILED, State.LIVE),
        *[(each, None, State.LIVE) for each in REASKED],
    ],
    "success",
)
def test_row_comment_status_and_stored_verdict_agree(
    steps: list[tuple[str, Proof | None, State]], unknown: str
) -> None:
    faces, target = Faces(make_facts(releases=frozenset({"production"}))), Target(unknown)
    for step in steps:
        target.live_on(*step)
        row, before = target.show(), dict(faces.statuses)
        faces.tell({row.slug: row}, row.state_at)
        faces.check({row.slug: row})
        check_proof(row, target.stored)
        turned = {sha for (sha, _), said in faces.statuses.items() if said == "failure"}
        turned &= {sha for (sha, _), said in before.items() if said == "success"}
        is_refuted = row.verification is not None and row.verification.proof is Proof.FAILED
        assert turned <= ({row.deployed} if is_refuted else set()), "green turns red by a failed verification alone"
