"""Deploy records between passes: a history is believed while it explains the Deployment, and never for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import MalformedAnswerError
from include.deploy_ops.core.model import Branch, Deploy, DeployKind, DeployStatus
from include.deploy_ops.core.naming import DeployNote, format_note
from include.deploy_ops.core.plan.outcome import Ended, Outcome
from include.deploy_ops.core.preview.comparison import compare
from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from include.deploy_ops.observation.histories import HistoryReader, drop_contradicted, fingerprint_deployment
from include.deploy_ops.observation.observe import Observer
from include.deploy_ops.run.memory import CachedHistory, Memory
from include.deploy_ops.run.scope import Scope
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import FINGERPRINT, OWNER, PLANE, make_deployment, make_project

if TYPE_CHECKING:
    from include.deploy_ops.core.history import DeployHistory
    from include.deploy_ops.core.model import Deployment

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def deploy(number: int) -> Deploy:
    """Return a whole deploy of the image `deploy-<number>` and the DAGs `v<number>`."""
    at = NOW - timedelta(days=1) + number * MINUTE
    return Deploy(
        f"d{number}",
        "id-dev-a",
        DeployStatus.DEPLOYED,
        DeployKind.IMAGE_AND_DAG,
        at,
        image_tag=f"deploy-{number}",
        dag_tarball_version=f"v{number}",
    )


def runs(number: int, branch: str = "dev-a") -> Deployment:
    """Return the branch's Deployment as it is after that deploy."""
    version = f"v{number}"
    return make_deployment(
        branch, image_tag=f"deploy-{number}", dag_tarball_version=version, desired_dag_tarball_version=version
    )


class Astro:
    """Astro's list of deploys, which may be old; the reader's time goes by hand."""

    def __init__(self) -> None:
        self.memory = Memory(DictStore())
        self.records: dict[str, tuple[Deploy, ...]] = {}
        self.asked: list[str] = []
        self.now = NOW
        self.owner = OWNER
        self.malformed: set[str] = set()
        self.deployments: tuple[Deployment, ...] = ()

    def list_deploys(self, deployment_id: str) -> tuple[Deploy, ...]:
        """Return what there is."""
        self.asked.append(deployment_id)
        if deployment_id in self.malformed:
            raise MalformedAnswerError(f"the records of {deployment_id} are malformed")
        return self.records.get(deployment_id, ())

    def list_deployments(self) -> tuple[Deployment, ...]:
        """Return what there is."""
        return self.deployments

    def look(self, *deployments: Deployment) -> dict[str, DeployHistory]:
        """Return the history of each Deployment, as one pass believes it."""
        self.asked.clear()
        reader: Any = self
        return HistoryReader(reader, self.memory, self.now, self.owner).read(deployments)

    def read(self, *deployments: Deployment) -> dict[str, str]:
        """Return the newest record of each Deployment, as one pass believes it."""
        return {key: history.newest_id for key, history in self.look(*deployments).items()}


@pytest.fixture
def astro() -> Astro:
    return Astro()


def test_a_stale_list_does_not_hide_a_deploy_for_ever(astro: Astro) -> None:
    astro.records["id-dev-a"] = (deploy(1),)
    assert astro.read(runs(2), make_deployment("dev-b")) == {"id-dev-a": "d1", "id-dev-b": ""}
    astro.records["id-dev-a"] = (deploy(1), deploy(2))
    astro.now += MINUTE
    assert astro.read(runs(2), make_deployment("dev-b"))["id-dev-a"] == "d2"


def test_an_unexplained_history_is_read_again_after_minutes_that_grow_to_an_hour(astro: Astro) -> None:
    astro.records["id-dev-a"] = (deploy(1),)
    times = []
    for minute in range(60 * 6):
        astro.now = NOW + minute * MINUTE
        astro.read(runs(2))
        if astro.asked:
            times.append(minute)
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_what_an_older_release_kept_is_read_again_where_it_explains_nothing(astro: Astro) -> None:
    stale = CachedHistory(fingerprint_deployment(runs(2)), astro_history(astro, deploy(1)))
    astro.memory.histories.write({}, {"id-dev-a": stale})
    astro.records["id-dev-a"] = (deploy(1), deploy(2))
    assert astro.read(runs(2)) == {"id-dev-a": "d2"}


def astro_history(astro: Astro, *records: Deploy) -> Any:
    other = Astro()
    other.records["id-dev-a"] = records
    other.read(runs(1))
    return other.memory.histories.read()["id-dev-a"].history


def test_a_quiet_pass_reads_one_history_the_one_that_was_read_longest_ago(astro: Astro) -> None:
    fleet = [runs(1, f"dev-{name}") for name in "abc"]
    astro.records = {each.id: (deploy(1),) for each in fleet}
    astro.read(*fleet)
    asked = []
    for _ in range(6):
        astro.now += MINUTE
        astro.read(*fleet)
        asked.extend(astro.asked)
    assert len(asked) == 6
    assert set(asked[:3]) == {each.id for each in fleet}
    assert asked[3:] == asked[:3]


def test_a_stale_list_that_fits_by_chance_is_found_when_its_turn_comes(astro: Astro) -> None:
    """A redeploy of the same image and DAGs moves nothing that could tell."""
    again = replace(deploy(2), image_tag="deploy-1", dag_tarball_version="v1")
    astro.records = {"id-dev-a": (deploy(1),), "id-dev-b": (deploy(1),)}
    fleet = (runs(1), runs(1, "dev-b"))
    astro.read(*fleet)
    astro.records["id-dev-a"] = (deploy(1), again)
    newest = []
    for _ in range(2):
        astro.now += MINUTE
        newest.append(astro.read(*fleet)["id-dev-a"])
    assert newest[-1] == "d2"


def test_what_was_read_as_another_owner_is_read_again_and_their_deploys_are_a_strangers(astro: Astro) -> None:
    note = DeployNote("dev-a", "a" * 40, "a" * 40, "r", 1, is_forced=False, owner=OWNER)
    astro.records = {"id-dev-a": (replace(deploy(1), description=format_note(note)),), "id-dev-0": (deploy(1),)}
    fleet = runs(1), runs(1, "dev-0")  # whose turn it is
    assert astro.look(*fleet)["id-dev-a"].head == "a" * 40
    astro.owner = "acme-prod/store"
    seen = astro.look(*fleet)["id-dev-a"]
    assert "id-dev-a" in astro.asked
    assert seen.head is None
    assert f"by the deploy d1 of {OWNER}" in seen.overridden_by


def our(number: int, **changes: Any) -> Deploy:
    """Return a deploy as `deploy` does, by a run of ours of a commit of the number's digit."""
    commit = str(number) * 40
    note = DeployNote("dev-a", commit, commit, f"r{number}", 1, is_forced=False, owner=OWNER)
    return replace(deploy(number), description=format_note(note), **changes)


STRANGER, ROLLBACK = deploy(3), our(3, image_tag="deploy-1", rollback_from_id="d1")
LATER_DAGS = our(3, kind=DeployKind.DAG_ONLY, image_tag="deploy-2")


@pytest.mark.parametrize(
    ("left", "shown", "known"),
    [
        ((), runs(2), "d2"),
        ((our(1),), runs(2), "d2"),
        ((our(1),), replace(runs(2), updated_at="later"), "d2"),  # something else of it moved meanwhile
        ((our(1), our(2)), runs(2), "d2"),
        ((our(2),), runs(2), "d2"),
        ((our(1),), runs(1), "d1"),  # they explain it themselves
        ((STRANGER,), runs(3), "d3"),
        ((STRANGER,), runs(4), "d3"),  # what was read before explains it no better
        ((ROLLBACK,), runs(1), "d3"),
        ((our(1), our(2), ROLLBACK), runs(1), "d3"),
        ((), runs(3), ""),
    ],
)
def test_records_that_astro_dropped_are_believed_while_they_explain_what_is_shown(
    left: tuple[Deploy, ...], shown: Deployment, known: str, astro: Astro
) -> None:
    astro.records["id-dev-a"] = (our(1), our(2))
    assert astro.read(runs(2)) == {"id-dev-a": "d2"}
    astro.records["id-dev-a"] = left
    for _ in range(3):
        astro.now += 61 * MINUTE
        assert astro.read(shown) == {"id-dev-a": known}


def test_the_record_of_an_image_that_astro_dropped_is_remembered_with_the_dags_that_came_later(astro: Astro) -> None:
    after = replace(runs(3), image_tag="deploy-2")
    astro.records["id-dev-a"] = (our(2), LATER_DAGS)
    before = astro.look(after)["id-dev-a"]
    assert (before.newest_id, before.image_commit) == ("d3", "2" * 40)
    astro.records["id-dev-a"] = (LATER_DAGS,)
    astro.now += MINUTE
    assert astro.look(after)["id-dev-a"] == before
    assert astro.asked == ["id-dev-a"]


def test_after_records_were_dropped_nothing_is_due_and_nothing_was_overridden(astro: Astro) -> None:
    project, snapshot = make_project(), RepositorySnapshot((Branch("dev-a", "2" * 40), Branch("main", "9" * 40)), ())
    shown = replace(runs(2), description=make_deployment("dev-a").description)
    for left in ((our(1), our(2)), (our(1),), (replace(our(1), description="a person's"),), ()):
        astro.records["id-dev-a"] = left
        astro.now += MINUTE
        found = compare(
            project,
            control_plane=PLANE,
            policy="p",
            targets=(),
            desired=derive_previews(project, snapshot),
            observed=Observed((shown,), astro.look(shown)),
            template=TemplateState(FINGERPRINT, {}, {}),
        )
        assert (found.works, found.holds) == ((), ())


def test_what_another_owner_read_is_not_believed_for_records_that_were_dropped(astro: Astro) -> None:
    astro.records["id-dev-a"] = (our(2),)
    astro.read(runs(2))
    astro.records["id-dev-a"], astro.owner = (), "acme-prod/store"
    assert astro.read(runs(2)) == {"id-dev-a": ""}


def end(seen: str | None, at: datetime = NOW + MINUTE) -> Ended:
    outcome = Outcome("run", "shop.preview", "deploy", "superseded", at)
    return Ended("dev-a", outcome, deployment_id="id-dev-a", seen=seen)


@pytest.mark.parametrize(
    ("seen", "at", "is_kept"),
    [
        ("d1", NOW + MINUTE, True),
        ("d2", NOW + MINUTE, False),
        ("", NOW + MINUTE, False),
        (None, NOW + MINUTE, True),
        ("d2", NOW - MINUTE, True),  # read since: the newer word counts
    ],
)
def test_a_superseded_run_that_saw_another_record_ends_the_belief(
    seen: str | None, at: datetime, is_kept: bool, astro: Astro
) -> None:
    astro.records = {"id-dev-a": (deploy(1),), "id-dev-b": (deploy(1),)}
    astro.read(runs(1), runs(1, "dev-b"))
    drop_contradicted(astro.memory, [end(seen, at)])
    assert astro.memory.histories.read().keys() == {"id-dev-b", *(["id-dev-a"] * is_kept)}


def observe(astro: Astro) -> Observed:
    """Return what a pass sees of the workspace."""
    scope = Scope(PLANE, is_dry=False, project=make_project(), targets=frozenset())
    reader: Any = astro
    return Observer(scope, reader, reader, astro.memory, reader).read_astro()


def test_records_that_cannot_be_read_cost_their_deployment_alone_and_what_was_known_stays(astro: Astro) -> None:
    target = replace(runs(1, "p"), id="prod", name="Production", description="")
    astro.deployments = runs(1), runs(1, "dev-b"), target
    astro.records = {each.id: (deploy(1),) for each in astro.deployments}
    whole = observe(astro)
    astro.malformed = {"id-dev-a", "prod"}
    for _ in range(4):  # whoever's turn it is: nothing of them moved
        assert observe(astro) == whole
    before, moved = astro.deployments, (replace(each, updated_at="later") for each in astro.deployments)
    astro.deployments = tuple(moved)
    found = observe(astro)
    assert [each.problem for each in found.deployments] == [
        "the records of id-dev-a are malformed",
        "",
        "the records of prod are malformed",
    ]
    assert found.histories.keys() == {"id-dev-b"}
    astro.malformed, astro.deployments = set(), before
    assert observe(astro) == whole


def test_of_a_deployment_that_cannot_be_read_no_records_are_read_and_what_was_known_stays(astro: Astro) -> None:
    astro.records["id-dev-a"] = (our(2),)
    astro.read(runs(2))
    astro.deployments = (replace(runs(2), problem="createdAt: Field required", image_tag=""),)
    astro.asked.clear()
    assert observe(astro).histories == {}
    assert astro.asked == []
    astro.records["id-dev-a"] = ()  # and dropped meanwhile
    assert astro.read(runs(2)) == {"id-dev-a": "d2"}
