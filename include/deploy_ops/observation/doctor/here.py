"""Looks at this Airflow and at the worker on which it runs: what `core/doctor/here.py` judges.

Each look stands for itself, so that what fails in one takes none of the others along.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk.configuration import conf

from include.deploy_ops.core.doctor import here
from include.deploy_ops.core.doctor.check import Area
from include.deploy_ops.core.doctor.wanted import SETTINGS
from include.deploy_ops.core.errors import DeployOpsError
from include.deploy_ops.core.plan.outcome import NOTHING_TO_DEPLOY, SUCCESS
from include.deploy_ops.core.policy.values import BUILD
from include.deploy_ops.core.view.health import ASTRO, GITHUB
from include.deploy_ops.engine.installed_engine import EngineMissingError, find_engine
from include.deploy_ops.hooks.astro.cli import AstroCli
from include.deploy_ops.observation.doctor.apart import look_apart
from include.deploy_ops.process import confinement
from include.deploy_ops.process.command import Command
from include.deploy_ops.process.git_settings import make_git_environment
from include.deploy_ops.run.endings import mask_text
from include.deploy_ops.run.notifiers import load_notifier
from include.deploy_ops.run.scope import CLI_POOL

if TYPE_CHECKING:
    from datetime import datetime

    from include.deploy_ops.core.doctor.check import Check
    from include.deploy_ops.core.plan.outcome import Outcome
    from include.deploy_ops.core.policy.keys import Notice
    from include.deploy_ops.core.view.row import Row
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
    from include.deploy_ops.observation.doctor.means import Inside, Means
    from include.deploy_ops.run.scope import Scope

Look = Callable[[], "Iterator[Check]"]

_TOOL_TIMEOUT_S = 60.0
"""For a tool that says its version."""

NOTE_SUFFIX = ".sha256"
"""The Dockerfile notes the executable's checksum in a file beside it, in the form of sha256sum(1)."""


def examine_here(means: Means, inside: Inside | None, now: datetime) -> tuple[Check, ...]:
    """Return the checks of the worker, of services' clocks, and of what a task sees of its Airflow."""
    looks: list[tuple[str, Look]] = [
        (here.CLI, lambda: _look_at_cli(means.astro)),
        (here.CHECKSUM, lambda: _look_at_checksum(means.astro)),
        (here.GIT, _look_at_git),
        (here.ENGINE, lambda: _look_at_engine(means.scope)),
        (here.CONFINEMENT, _look_at_confinement),
        (here.DISK, _look_at_disk),
        (here.name_clock(GITHUB), lambda: _look_at_github_clock(means.github)),
        (here.name_clock(ASTRO), lambda: _look_at_astro_clock(means.astro)),
        (here.NOTIFIERS, lambda: _look_at_notifiers(means.scope)),
        *_list_inner_looks(means, inside, now),
    ]
    return tuple(check for name, look in looks for check in look_apart(Area.HERE, name, look))


def _list_inner_looks(means: Means, inside: Inside | None, now: datetime) -> list[tuple[str, Look]]:
    """Return the looks at Airflow itself; outside of it, that each is a task's to make."""
    looks: dict[str, Callable[[Inside], Iterator[Check]]] = {
        here.BASE_URL: lambda _: _look_at_base_url(means.github),
        here.SETTINGS: lambda _: _look_at_settings(),
        here.POOL: lambda seen: _look_at_pool(seen, now),
        here.DAGS: lambda seen: _look_at_dags(means.scope, seen),
    }
    if means.scope.project.is_planned:
        looks[here.WATCH] = lambda seen: _look_at_watch(means.scope, seen, now)
        looks[here.PASSES] = lambda seen: _look_at_passes(means.scope, seen, now)
    return [(name, partial(_look_inside, name, look, inside)) for name, look in looks.items()]


def _look_inside(name: str, look: Callable[[Inside], Iterator[Check]], inside: Inside | None) -> Iterator[Check]:
    return iter([here.leave_to_airflow(name)]) if inside is None else look(inside)


def _look_at_cli(astro: AstroApiHook) -> Iterator[Check]:
    connection = astro.connection
    try:
        version = AstroCli(connection.conn_id, timeout_s=_TOOL_TIMEOUT_S, connection=connection).version()
    except DeployOpsError as error:
        yield here.judge_cli(connection.executable, "", mask_text(str(error)))
    else:
        yield here.judge_cli(connection.executable, version, "")


def _look_at_checksum(astro: AstroApiHook) -> Iterator[Check]:
    """Hold the CLI's file to the checksum beside it; where there is no file, the check of the CLI says so."""
    if (executable := shutil.which(astro.connection.executable)) is None:
        return
    with Path(executable).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    note = Path(f"{executable}{NOTE_SUFFIX}")
    noted = note.read_text(encoding="utf-8").split()[:1] if note.exists() else []
    yield here.judge_checksum(executable, found, "".join(noted))


def _look_at_git() -> Iterator[Check]:
    folder = Path(tempfile.gettempdir())
    try:
        said = Command(["git", "--version"], cwd=folder, env=make_git_environment(), timeout_s=_TOOL_TIMEOUT_S).run()
    except DeployOpsError as error:
        yield here.judge_git("", str(error))
    else:
        yield here.judge_git(said.stdout.strip(), "" if said.exit_code == 0 else said.tail())


def _look_at_engine(scope: Scope) -> Iterator[Check]:
    if BUILD not in scope.project.image:
        return
    try:
        yield here.judge_engine(str(find_engine()), "")
    except EngineMissingError as error:
        yield here.judge_engine("", mask_text(str(error)))


def _look_at_confinement() -> Iterator[Check]:
    yield here.judge_confinement(confinement.find_protection().reason)


def _look_at_disk() -> Iterator[Check]:
    folder = tempfile.gettempdir()
    yield here.judge_disk(shutil.disk_usage(folder).free, folder)


def _look_at_base_url(github: DeployOpsGithubHook) -> Iterator[Check]:
    yield here.judge_base_url(conf.get("api", "base_url", fallback="") or "", github.repository_url)


def _look_at_settings() -> Iterator[Check]:
    for setting in SETTINGS:
        yield here.judge_setting(setting, conf.get(setting.section, setting.key, fallback=None))


def _look_at_github_clock(github: DeployOpsGithubHook) -> Iterator[Check]:
    github.read_name()  # whatever it answers, it says the time
    yield here.judge_clock(GITHUB, github.skew_s)


def _look_at_astro_clock(astro: AstroApiHook) -> Iterator[Check]:
    astro.find_workspace_name()  # likewise
    yield here.judge_clock(ASTRO, astro.skew_s)


def _look_at_notifiers(scope: Scope) -> Iterator[Check]:
    for notice in scope.project.notify:
        yield here.judge_notifier(notice.notifier, _find_problem(notice))


def _find_problem(notice: Notice) -> str:
    try:
        load_notifier(notice)
    except DeployOpsError as error:
        return mask_text(str(error))
    except Exception as error:  # noqa: BLE001 - any ending of foreign code says that it cannot be used
        return mask_text(f"{type(error).__name__}: {error}")
    return ""


def _look_at_pool(inside: Inside, now: datetime) -> Iterator[Check]:
    rows = inside.memory.read_rows().values()
    waits = [wait for row in rows if row.run_id for wait in _describe_waits(inside, row)]
    used = [outcome.at for row in rows for outcome in row.outcomes if _has_called(outcome)]
    yield here.judge_pool(CLI_POOL, max(used, default=None), tuple(waits), now)


def _has_called(outcome: Outcome) -> bool:
    """Whether a run of ours deployed something, by the CLI."""
    is_ours = bool(outcome.run_id) and outcome.is_deploy and outcome.state == SUCCESS
    return is_ours and outcome.kind not in {"", NOTHING_TO_DEPLOY}


def _describe_waits(inside: Inside, row: Row) -> list[str]:
    return [*inside.runs.of(row.run_dag).describe_waits([row.run_id]).values()]


def _look_at_dags(scope: Scope, inside: Inside) -> Iterator[Check]:
    yield here.judge_dags({dag: inside.runs.of(dag).find_pause() for dag in sorted(scope.dags)})


def _look_at_watch(scope: Scope, inside: Inside, now: datetime) -> Iterator[Check]:
    is_paused = bool(inside.runs.of(scope.control_dag).find_pause())
    passed_at = _find_pass(inside)
    for service in (GITHUB, ASTRO):
        yield here.judge_watch(service, inside.sights.get(service), passed_at, now, is_paused=is_paused)


def _find_pass(inside: Inside) -> datetime | None:
    """Return when control's last pass began, as it is remembered."""
    continuity = inside.memory.continuity.read()
    return None if continuity is None else continuity.seen_at


def _look_at_passes(scope: Scope, inside: Inside, now: datetime) -> Iterator[Check]:
    is_paused = bool(inside.runs.of(scope.control_dag).find_pause())
    failing = inside.memory.failing.read()
    said = failing.said if failing else ""
    yield here.judge_passes(_find_pass(inside), said, now, is_paused=is_paused, is_watched=bool(inside.sights))
