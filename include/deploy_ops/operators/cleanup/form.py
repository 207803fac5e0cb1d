"""The forms of cleanup and of orphans: their fields, and what was filled in, checked again.

By hand a run is dry unless the form says otherwise; a scheduled run has no form and is never dry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from airflow.sdk import Param
from pydantic import BeforeValidator, Field

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.policy.keys import Project
from include.deploy_ops.core.policy.values import Duration, Patterns
from include.deploy_ops.core.text.schema import StrictModel, describe_value
from include.deploy_ops.run.forms import MayBeBlank, Text, make_choice, make_switch, make_text, read_form

SCHEDULED_RUN_TYPE = "scheduled"
"""How Airflow calls a run that the clock started; a person cannot start one."""

DELETES_MAX = 100_000
"""As the policy's `limits.max_deletes`."""

_ORPHAN_ACTIONS = {
    Verb.DELETE.value: "Delete what nobody looks after any more, after approval",
    Verb.ADOPT.value: "Adopt: mark anew the previews whose branches live, after approval",
}

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
    decide without asking. `project`, which releases before 0.3.0 sent, is the DAG's own.
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


def make_cleanup_params() -> dict[str, Param]:
    """Return the fields of a cleanup DAG's form."""
    return {
        "dry_run": make_switch(
            "Dry run", "Only show what would be decided; write nothing. Scheduled runs are never dry", is_on=True
        ),
        "hibernate_after": _make_age("Hibernate after", "may hibernate"),
        "delete_after": _make_age("Delete after", "is told that it will be deleted"),
        "branches": Param(
            None,
            description="Names or patterns as in the policy, a line each or with commas. Empty: all",
            type=["string", "array", "null"],
            items={"type": "string"},
            format="multiline",
            title="Only these branches",
        ),
        "max_deletes": Param(
            None,
            description="More deletes than this ask a person first. Empty: the policy's brake",
            type=["null", "integer"],
            minimum=0,
            maximum=DELETES_MAX,
            title="Delete limit",
        ),
        "reason": make_text("Reason", "Stands in the run's log"),
    }


def _make_age(title: str, effect: str) -> Param:
    guide = f"A preview that is idle for so long {effect}, such as 36h or 2d. Empty: as the policy says"
    return make_text(title, guide, pattern=DURATION_PATTERN)


def make_orphans_params() -> dict[str, Param]:
    """Return the fields of the orphans DAG's form."""
    return {
        "action": make_choice("Action", "To adopt is for after a repository was renamed", _ORPHAN_ACTIONS),
        "dry_run": make_switch(
            "Dry run", "Only show what was found; ask nobody, write nothing. Scheduled runs are never dry", is_on=True
        ),
        "project": make_text("Project", "Only Deployments of this project, which has left the policy. Empty: of all"),
    }


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
