"""Judges this Airflow and the worker on which the doctor looks: tools, settings, DAGs, and whether somebody watches.

Each function takes what was found and returns the check. Pure: `observation/doctor/here.py` looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.examination import DOCTOR_DAG
from include.deploy_ops.core.doctor.wanted import CLI_VERSION, GIT_MIN
from include.deploy_ops.core.plan.continuity import GAP_MAX
from include.deploy_ops.core.text.markdown import describe_span

if TYPE_CHECKING:
    from include.deploy_ops.core.doctor.wanted import Setting
    from include.deploy_ops.core.view.health import Sight

CLI, CHECKSUM, GIT, ENGINE = "Astro CLI", "Astro CLI's checksum", "Git", "container engine"
CONFINEMENT, DISK, POOL, BASE_URL = "confinement", "free disk", "pool", "base_url"
DAGS, WATCH, PASSES = "DAGs", "triggers", "passes"
SETTINGS, NOTIFIERS = "settings", "notifiers"
"""What the checks are called, and those of which there are several together."""

DISK_FAIL, DISK_WARN = 1 << 28, 2 << 30
"""Free bytes below which nothing works, and below which a large checkout may not."""

LATE = timedelta(minutes=2)
"""So much later than it said may the trigger look again; the page's first line waits as long."""

POOL_PROOF_MAX = timedelta(days=7)
"""How long a deploy proves that its pool is there."""

SKEW_WARN_S, SKEW_FAIL_S = 15.0, 60.0
"""How far clocks may differ: GitHub takes an App's word up to a minute ahead of its own clock."""

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - nothing listens here
_TRUTHS = {"true": "true", "t": "true", "1": "true", "false": "false", "f": "false", "0": "false"}
_IN_AIRFLOW = f"only a task of the Airflow sees it: look at the newest run of {DOCTOR_DAG} there"
_BEGINNING = f"trigger {DOCTOR_DAG} again in a minute; from the first hour's pass on it says what is amiss"
_NAMED_MAX = 5


def tell(name: str, status: Status, found: str, advice: str = "") -> Check:
    """Return a check of this area."""
    return Check(Area.HERE, name, status, found, advice)


def judge_cli(executable: str, version: str, problem: str) -> Check:
    """Judge the Astro CLI by its version, or by why it tells none."""
    if problem:
        advice = (
            f"install Astro CLI {CLI_VERSION} as the Dockerfile does, or name it in `cli` of the connection's extra"
        )
        return tell(CLI, Status.FAIL, problem, advice)
    if version != CLI_VERSION:
        advice = f"use {CLI_VERSION}, whose words and endings this release knows; another one's may be misread"
        return tell(CLI, Status.WARN, f"{version} at {executable}", advice)
    return tell(CLI, Status.OK, f"{version} at {executable}")


def judge_checksum(executable: str, found: str, noted: str) -> Check:
    """Judge the CLI's file by the SHA-256 that was noted beside it when it was installed; empty: none was."""
    note = f"{executable}.sha256"
    if not noted:
        advice = (
            "build the image with ASTRO_CLI_SHA256, which notes it; or hold the archive to its checksum yourself, and"
            f" then write it down: sha256sum {executable} > {note}"
        )
        return tell(CHECKSUM, Status.NOT_KNOWN, f"sha256 {found[:12]}…, and nothing in {note} to hold it to", advice)
    if found != noted:
        advice = "this is not the executable that was installed: build the image anew, and find out who changed it"
        return tell(CHECKSUM, Status.FAIL, f"sha256 {found[:12]}…, noted was {noted[:12]}…", advice)
    return tell(CHECKSUM, Status.OK, f"sha256 {found[:12]}…, as {note} says")


def judge_git(said: str, problem: str) -> Check:
    """Judge Git by what `git --version` said, or by why it said nothing."""
    least = ".".join(map(str, GIT_MIN))
    advice = f"install Git {least} or newer (packages.txt names it for the image)"
    version = re.search(r"\b(\d{1,4})\.(\d{1,4})(?:\.\d+)*", said)
    if problem or version is None:
        return tell(GIT, Status.FAIL, problem or f"it says '{said}', which is no version", advice)
    is_old = (int(version[1]), int(version[2])) < GIT_MIN
    return tell(GIT, Status.FAIL if is_old else Status.OK, version[0], advice if is_old else "")


def judge_engine(found: str, problem: str) -> Check:
    """Judge the container engine of a project that builds."""
    if problem:
        advice = (
            "`image` lists `build`: give the workers a docker or podman that answers, here or by DOCKER_HOST, or take"
            " `build` out of the list"
        )
        return tell(ENGINE, Status.FAIL, problem, advice)
    return tell(ENGINE, Status.OK, found)


def judge_confinement(reason: str) -> Check:
    """Judge whether what a branch brings is kept from the worker's files; `reason` says why not."""
    if reason:
        advice = (
            "everything works, but what meets a branch's files sees this worker's: install bubblewrap, and allow user"
            " namespaces (docs/install.md: What a worker lets the CLI see)"
        )
        return tell(CONFINEMENT, Status.WARN, reason, advice)
    return tell(CONFINEMENT, Status.OK, "bubblewrap works")


def judge_disk(free_bytes: int, folder: str) -> Check:
    """Judge the room in the folder for worktrees and private files."""
    found = f"{free_bytes / (1 << 30):.1f} GiB in {folder}"
    advice = "free this worker's disk, or name a folder with room in its TMPDIR"
    status = Status.FAIL if free_bytes < DISK_FAIL else Status.WARN if free_bytes < DISK_WARN else Status.OK
    return tell(DISK, status, found, advice if status is not Status.OK else "")


def judge_pool(pool: str, used_at: datetime | None, waits: tuple[str, ...], now: datetime) -> Check:
    """Judge the pool of the CLI's calls by what ran in it last, and by what waits for it."""
    make = f"airflow pools set {pool} 3 'Astro CLI calls'"
    name = f"{POOL} {pool}"
    if waits:
        return tell(name, Status.WARN, waits[0], f"if it stays so: {make}")
    if used_at is not None and now - used_at <= POOL_PROOF_MAX:
        return tell(name, Status.OK, f"the CLI deployed in it {describe_span(now - used_at)} ago")
    found = (
        "Airflow tells no task which pools there are, and none of the runs that are remembered called the CLI lately"
    )
    return tell(name, Status.NOT_KNOWN, found, f"look under Admin, Pools; the Deploys page says it, too; or: {make}")


def judge_base_url(url: str, repository_url: str) -> Check:
    """Judge where links to this Airflow lead, which people follow who see the repository at its address."""
    advice = "set [api] base_url (AIRFLOW__API__BASE_URL) to the address at which people open this Airflow"
    parts = urlsplit(url)
    if not url:
        return tell(BASE_URL, Status.WARN, "it is empty, so links on GitHub and in notices lead nowhere", advice)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return tell(BASE_URL, Status.FAIL, f"'{url}' is no web address", advice)
    if _is_local(url) and not _is_local(repository_url):
        return tell(BASE_URL, Status.WARN, f"{url} is this machine alone, and GitHub's people are elsewhere", advice)
    return tell(BASE_URL, Status.OK, url)


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in _LOCAL_HOSTS


def judge_setting(setting: Setting, found: str | None) -> Check:
    """Judge one setting by what Airflow's configuration says here; None where it says nothing."""
    name = f"[{setting.section}] {setting.key}"
    if found is not None and _does(setting, found):
        return tell(name, Status.OK, found)
    advice = f"set {setting.variable}={setting.value} for all of Airflow, as the Dockerfile does: {setting.why}"
    return tell(name, Status.WARN, f"{'nothing' if found is None else found}, expected {setting.value}", advice)


def _does(setting: Setting, found: str) -> bool:
    try:
        number, wanted = float(found), float(setting.value)
    except ValueError:
        return _TRUTHS.get(found.strip().lower(), found) == _TRUTHS.get(setting.value.lower(), setting.value)
    return number >= wanted if setting.is_least else number == wanted


def judge_dags(pauses: Mapping[str, bool | None]) -> Check:
    """Judge the project's DAGs by whether each is paused; None of one that is not there."""
    missing = sorted(dag for dag, is_paused in pauses.items() if is_paused is None)
    paused = sorted(dag for dag, is_paused in pauses.items() if is_paused)
    if missing:
        advice = "look at Airflow's import errors; where there are none, at whether its DAG processor runs"
        return tell(DAGS, Status.FAIL, f"not there: {_name(missing)}", advice)
    if paused:
        advice = "unpause them, unless somebody freezes what they do on purpose"
        return tell(DAGS, Status.WARN, f"paused: {_name(paused)}", advice)
    return tell(DAGS, Status.OK, f"{len(pauses)} are there, and none is paused")


def _name(dags: list[str]) -> str:
    more = len(dags) - _NAMED_MAX
    return ", ".join(dags[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def judge_watch(
    service: str, sight: Sight | None, passed_at: datetime | None, now: datetime, *, is_paused: bool
) -> Check:
    """Judge whether the trigger looks at a service: it notes each half minute how it saw it, changed or not.

    :param passed_at: when control's last pass began, None where none is remembered: a trigger that never looked while
        passes were made does not run, and before them it may only have begun.
    """
    name = f"{WATCH}: {service}"
    if sight is None and not is_paused and (passed_at is None or now - passed_at <= LATE):
        return tell(name, Status.NOT_KNOWN, "nobody has looked so far, and control has just begun", _BEGINNING)
    if sight is None or now - (sight.next_at or sight.looked_at) > LATE:
        age = "so far" if sight is None else f"for {describe_span(now - sight.looked_at)}"
        if is_paused:
            return tell(name, Status.WARN, f"nobody has looked {age}: control is paused", "unpause control")
        advice = (
            "see that Airflow runs a triggerer, and look at its log; without it nothing is noticed, and none settles"
        )
        return tell(name, Status.FAIL, f"nobody has looked {age}", advice)
    if sight.said:
        advice = "mend what it names; the trigger goes on by itself"
        return tell(name, Status.WARN, f"looked {describe_span(now - sight.looked_at)} ago: {sight.said}", advice)
    return tell(name, Status.OK, f"looked {describe_span(now - sight.looked_at)} ago")


def judge_passes(
    seen_at: datetime | None, failing: str, now: datetime, *, is_paused: bool, is_watched: bool = True
) -> Check:
    """Judge whether control makes its passes: one an hour at least, however quiet the project is.

    :param is_watched: somebody has looked at a service already, which is how control begins.
    """
    age = "no pass is remembered" if seen_at is None else f"the last pass began {describe_span(now - seen_at)} ago"
    if failing:
        return tell(
            PASSES, Status.FAIL, failing, "look at the newest run of control, task plan; its log says what to do"
        )
    if seen_at is not None and now - seen_at <= GAP_MAX:
        return tell(PASSES, Status.OK, age)
    if is_paused:
        return tell(PASSES, Status.WARN, f"{age}: control is paused", "unpause control")
    if seen_at is None and not is_watched:
        return tell(PASSES, Status.NOT_KNOWN, f"{age}, and nobody has looked so far", _BEGINNING)
    return tell(PASSES, Status.FAIL, age, "look at the runs of control, and at whether Airflow's scheduler starts any")


def name_clock(service: str) -> str:
    """Return what the check of our clock beside a service's is called."""
    return f"clock beside {service}"


def judge_clock(service: str, skew_s: float | None) -> Check:
    """Judge this worker's clock by a service's; positive where ours is ahead."""
    name = name_clock(service)
    if skew_s is None:
        advice = (
            f"hold the worker's clock to another one; a proxy between us and {service} may leave out the header Date"
        )
        return tell(name, Status.NOT_KNOWN, f"{service}'s answer said no time", advice)
    found = f"{abs(skew_s):.0f} s {'ahead' if skew_s > 0 else 'behind'}"
    if abs(skew_s) <= SKEW_WARN_S:
        return tell(name, Status.OK, found)
    advice = "let the worker's machine keep its time (NTP): tokens are refused by it, and times that we compare mislead"
    return tell(name, Status.WARN if abs(skew_s) <= SKEW_FAIL_S else Status.FAIL, found, advice)


def judge_notifier(path: str, problem: str) -> Check:
    """Judge a notifier that the policy names, by what went wrong when it was made with its arguments."""
    if problem:
        advice = "install its provider, or correct `notify` in the policy: until then nobody is told by it"
        return tell(f"notifier {path}", Status.FAIL, problem, advice)
    return tell(f"notifier {path}", Status.OK, "it is made with its arguments")


def leave_to_airflow(name: str) -> Check:
    """Return the check of what only a task sees, where no task looks."""
    return tell(name, Status.NOT_KNOWN, "asked outside Airflow", _IN_AIRFLOW)
