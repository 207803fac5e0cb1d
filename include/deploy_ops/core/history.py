"""Astro's deploy records → which commit a Deployment runs, and who deployed it last.

Reads only records that Astro calls DEPLOYED: a failed or unfinished deploy changed nothing. What another control plane
or project deployed is a stranger's, whatever its description says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.model import ChangeType, Deploy, DeployKind, DeployStatus
from include.deploy_ops.core.naming import DeployNote, parse_note, read_reason, read_sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.model import Deployment


ROLLBACK = "rollback: "
"""How the reason of a forced deploy begins that goes back."""

_SHOWN_DIGITS = 7
_GOES_BACK = "rollback from "
"""How the reason of a deploy begins by which control goes back."""

FINAL = frozenset({DeployStatus.DEPLOYED, DeployStatus.FAILED})
"""What a record's status is in the end."""


@dataclass(frozen=True, slots=True)
class DeployHistory:
    """What a Deployment's records say.

    `image_commit` and `dags_commit` are the commits that its image and its DAGs come from, None when no record tells;
    `image_origin` is where the image came from, as in `DeployNote`, empty when no record of ours tells.
    `head` is the source's head at our newest successful deploy. `image_tag` and `dag_version` are what the Deployment
    has to show then, empty where no record tells.
    `overridden_by` says which commit runs by a later record that is a stranger's, a rollback or a person's override, by
    whom and why; it is empty when a plain one of ours is the newest.
    `commit`, `kind` and `deployed_at` are of the newest record that changed something;
    `active_at` is when the newest record of any status was made, `unfinished` names those that are neither deployed nor
    failed, with their times. `lacks_dags`: the newest image and DAGs came as an image alone, which is right only where
    the image carries the DAGs. `is_strangers`: the newest record that changed something is not of ours, and `person`
    made it, by Astro. `names_rollback`: that is a plain deploy of ours, with the word that what was verified before is
    deployed again where its verification fails. `undoes` is the record in whose place control did so, where that made
    the newest one.
    """

    newest_id: str = ""
    image_commit: str | None = None
    dags_commit: str | None = None
    head: str | None = None
    overridden_by: str = ""
    image_tag: str = ""
    dag_version: str = ""
    commit: str = ""
    kind: str = ""
    deployed_at: datetime | None = None
    active_at: datetime | None = None
    unfinished: tuple[tuple[str, datetime], ...] = ()
    image_origin: str = ""
    lacks_dags: bool = False
    is_strangers: bool = False
    person: str = ""
    names_rollback: bool = False
    undoes: str = ""


_State = tuple[str | None, str, str | None]
"""What a record left: the image's commit, where it came from, the DAGs' commit."""


def read_commit(deploy: Deploy) -> str | None:
    """Return the commit that a record deployed: from our description, else from Astro's Git metadata."""
    note = parse_note(deploy.description)
    return note.commit if note else deploy.git_commit


def read_history(deploys: Iterable[Deploy], owner: str) -> DeployHistory:
    """Replay a Deployment's records, in any order, oldest first, as `owner` (`naming.name_owner`) sees them.

    A rollback restores what was deployed right after the record that it names; if that record is unknown, so is the
    commit of image and DAGs.
    """
    history = DeployHistory()
    states: dict[str, _State] = {}
    records = sorted(deploys, key=_order)
    for deploy in records:
        # A failed deploy changed nothing, and a bundle, such as a dbt project, lies beside image and DAGs.
        if deploy.status is not DeployStatus.DEPLOYED or deploy.kind is DeployKind.BUNDLE:
            continue
        history = _apply(history, deploy, owner, states)
        states[deploy.id] = (history.image_commit, history.image_origin, history.dags_commit)
    return replace(
        history,
        active_at=records[-1].created_at if records else None,
        unfinished=tuple((each.id, each.created_at) for each in records if each.status not in FINAL),
    )


def explains(history: DeployHistory, deployment: Deployment) -> bool:
    """Whether the records account for what the Deployment shows: its image, and the DAG bundle that it is to have.

    An answer of Astro's that lacks the newest records does not; nor do records after a rollback, or before the first.
    """
    shown = (deployment.image_tag, deployment.desired_dag_tarball_version)
    return (history.image_tag, history.dag_version) == shown


def forget_unseen(history: DeployHistory, deployment: Deployment) -> DeployHistory:
    """Return the history without the commits of an image or of DAGs that the Deployment does not show.

    What runs there then came by a deploy whose record is not in the list: Astro may have dropped it.
    """
    is_other_image = history.image_tag not in {"", deployment.image_tag}
    are_other_dags = history.dag_version not in {"", deployment.desired_dag_tarball_version}
    return replace(
        history,
        image_commit=None if is_other_image else history.image_commit,
        image_origin="" if is_other_image else history.image_origin,
        dags_commit=None if are_other_dags else history.dags_commit,
    )


def _apply(history: DeployHistory, deploy: Deploy, owner: str, states: dict[str, _State]) -> DeployHistory:
    note = _find_own_note(deploy, owner)
    if deploy.rollback_from_id is not None:
        image, origin, dags = states.get(deploy.rollback_from_id, (None, "", None))
    else:
        commit = read_commit(deploy)
        image = commit if deploy.kind.has_image else history.image_commit
        origin = (note.image if note else "") if deploy.kind.has_image else history.image_origin
        dags = commit if deploy.kind.has_dags else history.dags_commit
    runs = (dags if deploy.kind.has_dags else image) or ""
    return DeployHistory(
        newest_id=deploy.id,
        image_commit=image,
        dags_commit=dags,
        head=note.head if note else history.head,
        image_tag=_carry(deploy, deploy.image_tag, history.image_tag, is_carried=deploy.kind.has_image),
        dag_version=_carry(deploy, deploy.dag_tarball_version, history.dag_version, is_carried=deploy.kind.has_dags),
        overridden_by=_describe_override(deploy, note) if note else _describe_stranger(deploy, runs),
        commit=runs,
        kind=(ChangeType.IMAGE if deploy.kind.has_image else ChangeType.DAGS).value,
        deployed_at=deploy.created_at,
        image_origin=origin,
        lacks_dags=_lacks_dags(history, deploy),
        is_strangers=note is None,
        person="" if note else deploy.person,
        names_rollback=note is not None and note.names_rollback and not note.is_override,
        undoes=note.undoes if note else "",
    )


def describe_former(history: DeployHistory) -> str:
    """Return why a deploy is due, by what it comes in place of: read beside the commit that is deployed."""
    return f"in place of {history.head[:12]}" if history.head else "the first deploy of ours"


def describe_rollback(failed: str, commit: str, said: str) -> str:
    """Return why an older commit is deployed again: what it comes in place of, and what was found there."""
    return f"{_GOES_BACK}{failed[:_SHOWN_DIGITS] or 'an unknown commit'} to {commit[:_SHOWN_DIGITS]}: {said}"


def find_former(deploys: Iterable[Deploy], commit: str, owner: str) -> DeployHistory | None:
    """Return the history up to the owner's newest plain deploy of this commit; None where the source never had it."""
    done = sorted((each for each in deploys if each.status is DeployStatus.DEPLOYED), key=_order)
    notes = ((number, _find_own_note(each, owner)) for number, each in enumerate(done, 1))
    plain = [number for number, note in notes if note and note.commit == commit and not note.is_override]
    return read_history(done[: plain[-1]], owner) if plain else None


def _order(deploy: Deploy) -> tuple[datetime, str]:
    return deploy.created_at, deploy.id


def _find_own_note(deploy: Deploy, owner: str) -> DeployNote | None:
    """Return what the owner's own deploy says of itself; None for a stranger's, and for a rollback to one of ours."""
    note = parse_note(deploy.description)
    return note if note and note.is_of(owner) and deploy.rollback_from_id is None else None


def _lacks_dags(history: DeployHistory, deploy: Deploy) -> bool:
    if deploy.rollback_from_id is not None:
        return False  # whose record names neither
    return not deploy.dag_tarball_version if deploy.kind.has_dags else history.lacks_dags


def _carry(deploy: Deploy, now: str, before: str, *, is_carried: bool) -> str:
    """Return what is to be seen after the deploy; after a rollback nobody knows."""
    if deploy.rollback_from_id is not None:
        return ""
    return now if is_carried else before


def _describe_override(deploy: Deploy, note: DeployNote) -> str:
    """Return what a person forced instead of what the source has, who and why; empty for a plain deploy."""
    if not note.is_override:
        return ""
    reason = read_reason(deploy.description, note)
    if note.undoes:
        return f"a {reason if reason.startswith(_GOES_BACK) else f'rollback to {note.commit[:_SHOWN_DIGITS]}'}"
    ref = f" ({note.ref})" if note.ref not in {"", note.commit} else ""
    who = f", by {note.person}" if note.person else ", by force"
    reason = reason.removeprefix(ROLLBACK)
    return f"{note.commit[:_SHOWN_DIGITS]}{ref}{who}" + (f", because {reason}" if reason else "")


def _name_person(deploy: Deploy) -> str:
    return f" of {deploy.person}" if deploy.person else ""


def _describe_stranger(deploy: Deploy, runs: str) -> str:
    """Return what somebody deployed beside us, and how; `runs` is the commit that is there now, empty if unknown."""
    if deploy.rollback_from_id is not None:
        who = f"a rollback to {deploy.rollback_from_id} (deploy {deploy.id}){_name_person(deploy)}"
    else:
        note = parse_note(deploy.description)
        owner = note.owner if note else ""
        # Another control plane's token may have anybody's name.
        who = (
            f"the deploy {deploy.id} of {owner}"
            if owner
            else f"somebody else's deploy {deploy.id}{_name_person(deploy)}"
        )
    said = read_sentence(deploy.description)
    return f"{runs[:_SHOWN_DIGITS] or 'an unknown commit'}, by {who}" + (f", because {said}" if said else "")
