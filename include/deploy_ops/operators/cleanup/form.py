"""The forms of cleanup and of orphans: their fields, and what was filled in, checked again.

By hand a run is dry unless the form says otherwise; a scheduled run has no form and is never dry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from airflow.sdk import Param
from pydantic import BeforeValidator, Field

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.policy.keys import Project
from include.deploy_ops.core.policy.values import Duration, Patterns
from include.deploy_ops.core.text.schema import StrictModel, describe_value
from include.deploy_ops.run.forms import MayBeBlank, Text, read_form

SCHEDULED_RUN_TYPE = "scheduled"
"""How Airflow calls a run that the clock started; a person cannot start one."""

DELETES_MAX = 100_000
"""As the policy's `limits.max_deletes`."""

DURATION_PATTERN = r"^\s*([1-9][0-9]{0,4}[smhd])?\s*$"


def _split(value: Any) -> Any:
    """Return the entries of a text, one a line or parted by commas, or of a list; blank ones are none."""
    lines = value.replace(",", "\n").splitlines() if isinstance(value, str) else value
    if not isinstance(lines, list):
        return value
    entries = [line.strip() if isinstance(line, str) else line for line in lines]
    return [entry for entry in entries if entry != ""]


class CleanupForm(StrictModel):
    """What a cleanup run is asked for. None, and no branches, mean what the policy says.

    `branches`: patterns for whole branch names; only these are looked at. `max_deletes`: how many deletes this run may
    decide without asking. `project` is the DAG's own.
    """

    dry_run: bool = True
    project: Text = ""
    hibernate_after: Annotated[Duration | None, MayBeBlank] = None
    delete_after: Annotated[Duration | None, MayBeBlank] = None
    branches: Annotated[Patterns, BeforeValidator(_split), MayBeBlank] = ()
    max_deletes: Annotated[int, Field(ge=0, le=DELETES_MAX)] | None = None
    reason: Text = ""


class OrphansForm(StrictModel):
    """What a run of orphans is asked for; an empty `project` means all that have left.

    `action`: about which of them a person is asked, and what then becomes of those.
    """

    action: Annotated[Literal["delete", "adopt"], MayBeBlank] = "delete"
    dry_run: bool = True
    project: Text = ""


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
        "action": Param(
            "delete",
            type="string",
            enum=["delete", "adopt"],
            title="Action",
            description_md="`delete`: what nobody looks after any more; `adopt`: after a repository was renamed, mark "
            "anew the previews whose branches live",
        ),
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
        return CleanupForm(dry_run=False)
    form = read_form(CleanupForm, params)
    if form.project not in {"", project.name}:  # of another project's DAG, and so are its other fields
        found = describe_value(form.project)
        raise PermanentError(f"project: found {found}, expected '{project.name}', whose DAG this is")
    _check_order(form, project)
    return form


def read_orphans_form(params: Mapping[str, Any], run_type: str) -> OrphansForm:
    """Return what the run is asked for. Raises PermanentError that names the field, what was found and expected."""
    if run_type == SCHEDULED_RUN_TYPE:
        return OrphansForm(dry_run=False)
    return read_form(OrphansForm, params)


def _check_order(form: CleanupForm, project: Project) -> None:
    """Refuse limits by which a preview would be deleted before it hibernates, as the policy does."""
    previews = project.previews
    hibernate = form.hibernate_after or (previews.hibernate_after if previews else None)
    delete = form.delete_after or (previews.delete_after if previews else None)
    if (form.hibernate_after or form.delete_after) and hibernate and delete and hibernate >= delete:
        raise PermanentError(f"hibernate_after: {hibernate} is not before delete_after, {delete}; make it shorter")
