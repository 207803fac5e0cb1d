"""What cleanup knows of each live preview: its head's age, its deploys, who woke or keeps it, what runs on it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.comparison import read_labels
from include.deploy_ops.core.cleanup.expiry import Subject
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.naming import slug_branch
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.preview.hibernation import find_wake
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.run.claims import Claims

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.deploy_ops.core.model import Branch, Deployment
    from include.deploy_ops.core.plan.remembered import Remembered
    from include.deploy_ops.observation.difference import Observation
    from include.deploy_ops.observation.observe import Observer
    from include.deploy_ops.run.airflow_runs import Runs
    from include.deploy_ops.run.scope import Scope


def read_subjects(scope: Scope, observer: Observer, observation: Observation, runs: Runs) -> tuple[Subject, ...]:
    """Return the previews whose branch lives; twins and targets are none, since nobody knows what they are.

    :param runs: answers about the preview DAG's runs.
    """
    memory = observer.memory
    live = tuple(_list_live(scope, observation))
    times = observer.read_commit_times(branch.head for branch, _ in live)
    labels = read_labels(observation.snapshot.pull_requests)
    authors = read_authors(observer, observation)
    claims = Claims(memory, runs)
    rows, now = memory.read_rows(), datetime.now(UTC)
    remembered = {branch.name: memory.environment(slug_branch(branch.name)).read() for branch, _ in live}
    return tuple(
        Subject(
            deployment=deployment,
            branch=branch.name,
            head=branch.head,
            author=authors.get(branch.name, ""),
            committed_at=times.get(branch.head),
            history=observation.observed.histories.get(deployment.id, DeployHistory()),
            woken_at=find_wake(rows.get(slug_branch(branch.name)), deployment, now),
            kept=remembered[branch.name].find_keep(deployment.id),
            labels=tuple(sorted(labels.get(branch.name, ()))),
            in_flight=claims.find_holder(slug_branch(branch.name)) or "",
            slept_at=_find_sleep(remembered[branch.name]),
        )
        for branch, deployment in live
    )


def _find_sleep(remembered: Remembered) -> datetime | None:
    """Return when control last let the preview hibernate."""
    ending = remembered.endings.get(Verb.HIBERNATE.value)
    return ending.ended_at if ending is not None and ending.is_done else None


def _list_live(scope: Scope, observation: Observation) -> Iterator[tuple[Branch, Deployment]]:
    previews = find_previews(observation.observed.deployments, scope.control_plane, scope.project)
    for name, branch in sorted(observation.wanted.items()):
        own = [deployment for deployment, _ in previews.get(name, ())]
        if len(own) == 1 and own[0].name not in scope.targets:
            yield branch, own[0]


def read_authors(observer: Observer, observation: Observation) -> dict[str, str]:
    """Return who wrote each branch's head, as far as control has found out for its rows, or a pull request says."""
    known = observer.memory.authors.read()
    found = {row.branch: row.author for row in observer.memory.read_rows().values() if row.author}
    found |= {pull.head_ref: pull.author for pull in observation.snapshot.pull_requests if pull.is_open and pull.author}
    return {name: known.get(branch.head) or found.get(name, "") for name, branch in observation.wanted.items()}
