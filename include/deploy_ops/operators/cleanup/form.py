"""The forms of cleanup and of orphans: their fields, and what was filled in, checked again.

By hand a run is dry unless the form says otherwise; a scheduled run has no form and is never dry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import Param

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.policy.values import check_pattern, parse_duration
from include.deploy_ops.core.text.schema import describe_value, suggest_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import timedelta

    from include.deploy_ops.core.policy.file import Project

SCHEDULED_RUN_TYPE = "scheduled"
"""How Airflow calls a run that the clock started; a person cannot start one."""

DELETES_MAX = 100_000
"""As the policy's `limits.max_deletes`."""

DURATION_PATTERN = r"^\s*([1-9][0-9]{0,4}[smhd])?\s*$"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CleanupForm:
    """What a cleanup run is asked for. None, and no branches, mean what the policy says.

    :param branches: patterns for whole branch names; only these are looked at.
    :param max_deletes: how many deletes this run may decide without asking.
    """

    is_dry: bool
    hibernate_after: timedelta | None = None
    delete_after: timedelta | None = None
    branches: tuple[str, ...] = ()
    max_deletes: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OrphansForm:
    """What a run of orphans is asked for; an empty `project` means all that have left."""

    is_dry: bool
    project: str = ""


def make_cleanup_params(project: Project) -> dict[str, Param]:
    """Return the fields of a project's cleanup form."""
    return {
        "dry_run": _make_dry_param("Show what would be decided; write nothing. Scheduled runs are never dry"),
        "project": Param(
            project.name,
            type="string",
            enum=[project.name],
            title="Project",
            description_md="This DAG's own; the other projects have theirs",
        ),
        "hibernate_after": _make_age_param("Hibernate after", "may hibernate"),
        "delete_after": _make_age_param("Delete after", "is told that it will be deleted"),
        "branches": Param(
            "",
            type=["string", "array", "null"],
            items={"type": "string"},
            format="multiline",
            title="Only these branches",
            description_md="Names or patterns as in the policy, a line each or with commas; empty: all",
        ),
        "max_deletes": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=DELETES_MAX,
            title="Delete limit",
            description_md="More deletes than this ask a person first; empty: the policy's brake",
        ),
        "reason": Param("", type="string", title="Reason", description_md="Stands in the run's log"),
    }


def make_orphans_params() -> dict[str, Param]:
    """Return the fields of the orphans DAG's form."""
    return {
        "dry_run": _make_dry_param("Show what was found; ask nobody, delete nothing. Scheduled runs are never dry"),
        "project": Param(
            "",
            type="string",
            title="Project",
            description_md="Only Deployments of this project that has left the policy; empty: all",
        ),
    }


def _make_dry_param(guide: str) -> Param:
    return Param(default=True, type="boolean", title="Dry run", description_md=guide)


def _make_age_param(title: str, effect: str) -> Param:
    return Param(
        "",
        type="string",
        pattern=DURATION_PATTERN,
        title=title,
        description_md=f"A preview that is idle for so long {effect}, such as `36h` or `2d`; empty: the policy's",
    )


def read_cleanup_form(params: Mapping[str, Any], project: Project, run_type: str) -> CleanupForm:
    """Return what the run is asked for. Raises PermanentError that names the field, what was found and expected."""
    if run_type == SCHEDULED_RUN_TYPE:
        return CleanupForm(is_dry=False)
    refuse_unknown(params, make_cleanup_params(project))
    if (named := params.get("project", project.name)) != project.name:
        raise _refuse("project", named, f"'{project.name}', whose DAG this is")
    form = CleanupForm(
        is_dry=_read_dry(params),
        hibernate_after=_read_age(params, "hibernate_after"),
        delete_after=_read_age(params, "delete_after"),
        branches=_read_branches(params.get("branches")),
        max_deletes=_read_count(params.get("max_deletes")),
        reason=_read_text(params, "reason"),
    )
    _check_order(form, project)
    return form


def read_orphans_form(params: Mapping[str, Any], run_type: str) -> OrphansForm:
    """Return what the run is asked for. Raises PermanentError that names the field, what was found and expected."""
    if run_type == SCHEDULED_RUN_TYPE:
        return OrphansForm(is_dry=False)
    refuse_unknown(params, make_orphans_params())
    return OrphansForm(is_dry=_read_dry(params), project=_read_text(params, "project"))


def refuse_unknown(params: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse a field that the form lacks: one that was meant to narrow the run would be passed over."""
    for name in params:
        if name not in known:
            raise PermanentError(f"{name}: the form has no such field; {suggest_key(name, known)}")


def _check_order(form: CleanupForm, project: Project) -> None:
    """Refuse limits by which a preview would be deleted before it hibernates, as the policy does."""
    previews = project.previews
    hibernate = form.hibernate_after or (previews.hibernate_after if previews else None)
    delete = form.delete_after or (previews.delete_after if previews else None)
    if (form.hibernate_after or form.delete_after) and hibernate and delete and hibernate >= delete:
        raise PermanentError(f"hibernate_after: {hibernate} is not before delete_after, {delete}; make it shorter")


def _read_dry(params: Mapping[str, Any]) -> bool:
    value = params.get("dry_run", True)
    if not isinstance(value, bool):
        raise _refuse("dry_run", value, "true or false")
    return value


def _read_age(params: Mapping[str, Any], name: str) -> timedelta | None:
    text = _read_text(params, name)
    return _check(name, text, parse_duration) if text else None


def _read_branches(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    lines = value.replace(",", "\n").splitlines() if isinstance(value, str) else value
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise _refuse("branches", value, "names or patterns, a line each or with commas")
    return tuple(_check("branches", line.strip(), check_pattern) for line in lines if line.strip())


def _read_count(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= DELETES_MAX:
        raise _refuse("max_deletes", value, f"a whole number from 0 to {DELETES_MAX}, or nothing")
    return value


def _read_text(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise _refuse(name, value, "a text")
    return value.strip()


def _check(name: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise _refuse(name, text, str(error)) from None


def _refuse(name: str, value: object, expected: str) -> PermanentError:
    return PermanentError(f"{name}: found {describe_value(value)}, expected {expected}")
