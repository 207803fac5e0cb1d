"""How a proposal for the template is told: in the run, the pull request's text, the commit's message. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.model import COMMIT_ID
from include.deploy_ops.core.template.fields import Gap
from include.deploy_ops.core.text.markdown import TEXT_LENGTH_MAX, cut, render_table, write_code, write_words
from include.deploy_ops.core.text.plain import LINE_WIDTH_MAX, lay_table, wrap
from include.deploy_ops.core.text.schema import format_location

if TYPE_CHECKING:
    from include.deploy_ops.core.template.proposal import Proposal, Row

ROWS_MAX, CELL_MAX = 50, 80
"""Fields that a table of a pull request's text shows, and characters of each cell: GitHub takes 65,536 in all."""

UNFIT_MAX, WHY_MAX = 20, 200
"""The same of the table of those that make no preview, and characters of a reason."""

UNFIT = "Why not"
"""Heads the reason why a change of production's would make no preview."""

SETTLED = "<!-- deploy-ops: the template has nothing left to take over -->"
"""In the text of a pull request that we closed: what a person closed was declined."""

_TRAILERS = re.compile(
    r"Deploy-Ops-Control-Plane: ([a-z0-9._-]+)\n"
    r"Deploy-Ops-Project: ([a-z0-9_]+)\n"
    rf"Deploy-Ops-Template-Tree: ({COMMIT_ID.pattern})"
)


@dataclass(frozen=True, slots=True)
class Maker:
    """Who proposes: control plane and project; `trunk` is the branch that it goes into."""

    control_plane: str
    project: str
    trunk: str


def name_title(proposal: Proposal) -> str:
    """Return the pull request's title, which is the commit's first line."""
    if proposal.is_first:
        return f"Template: made of {proposal.deployment}"
    return f"Template: what changed in {proposal.deployment}"


def write_message(proposal: Proposal, maker: Maker, tree: str) -> str:
    """Return the commit's message. It tells the commit as ours as long as it has that tree."""
    return "\n".join(
        (
            name_title(proposal),
            "",
            f"Deploy-Ops-Control-Plane: {maker.control_plane}",
            f"Deploy-Ops-Project: {maker.project}",
            f"Deploy-Ops-Template-Tree: {tree}",
        )
    )


def is_own_commit(message: str, tree: str, maker: Maker) -> bool:
    """Whether a commit with this message and tree is one that we made to propose a template."""
    found = _TRAILERS.fullmatch(message.rstrip("\n").rpartition("\n\n")[2])
    return found is not None and found.groups() == (maker.control_plane, maker.project, tree)


def write_body(proposal: Proposal, maker: Maker) -> str:
    """Return the pull request's text: what changes, field by field, what stays, and what a merge does."""
    return "\n\n".join(each for each in _list_paragraphs(proposal, maker) if each)


def write_settled_body(body: str, deployment: str) -> str:
    """Return the text of a pull request that is closed since there is nothing left to propose."""
    return f"{SETTLED}\n**{_say_settled(deployment)}**\n\n{body}"


def write_settled_comment(deployment: str) -> str:
    """Return the word with which it is closed."""
    return f"{SETTLED}\n{_say_settled(deployment)}"


def _say_settled(deployment: str) -> str:
    return (
        f"Closed: {write_words(deployment)} is as the template's last snapshot has it, so nothing is left to take over."
    )


def _list_paragraphs(proposal: Proposal, maker: Maker) -> Iterable[str]:
    name, path = write_words(proposal.deployment), write_code(proposal.template_path)
    trunk = write_code(maker.trunk)
    headings = ("Field", f"In {name}", f"On {trunk}", "What previews get")
    if proposal.is_first:
        yield f"{trunk} has no {path} yet. This makes it of {name}; secrets stand in it as empty keys."
        if proposal.obstacle:
            yield (
                f"**The policy lets no preview be made of it:** {write_words(cut(proposal.obstacle, WHY_MAX))}. "
                f"Correct `previews.overrides` in the policy, or {path} on this branch; until then new previews wait."
            )
    elif proposal.is_blind:
        yield (
            f"{path} was not made of {name} by Deploy Ops, so nobody knows which of the two changed what differs. "
            f"Nothing of it is touched: this only notes how {name} is now, and from then on its changes are proposed."
        )
    else:
        yield f"{name} changed since its last changes were taken over. This lays on {path} what changed, and only that."
    if proposal.laid:
        yield render_table(headings, map(_write_row, proposal.laid[:ROWS_MAX]), len(proposal.laid) - ROWS_MAX)
    if differing := _list_differing(proposal):
        yield f"{_say_kept(proposal, name, trunk)} The merge leaves these as they are:"
        yield render_table(headings, map(_write_row, differing[:ROWS_MAX]), len(differing) - ROWS_MAX)
    if unfit := _list_unfit(proposal):
        yield (
            f"Changed in {name}, and no preview could be made of {path} with it. The merge leaves these as they are; "
            "change by hand what they need:"
        )
        yield render_table((*headings, UNFIT), map(_write_unfit, unfit[:UNFIT_MAX]), len(unfit) - UNFIT_MAX)
    if proposal.empty:
        keys = ", ".join(write_code(cut(each, CELL_MAX)) for each in proposal.empty[:ROWS_MAX])
        yield (
            f"Without a value in previews: {keys}. Code that reads one of them finds an empty text there, and may "
            f"break. Give plain ones a value in {path}, or list them in `previews.copy_variables`; secrets come from "
            "`previews.environment`, or are set in Astro."
        )
    yield (
        f"With the merge {write_code(proposal.snapshot_path)} says that {name} was like this. Deploy Ops never merges "
        f"this, and keeps it up to date while {name} or {trunk} move. To decline, close it: it is proposed again when "
        f"{name} changes. A commit of yours on this branch is left alone, and ends the updates."
    )


def _say_kept(proposal: Proposal, name: str, trunk: str) -> str:
    if proposal.is_blind:
        return f"What differs between {name} and {trunk}."
    return f"Changed in {name}, and differently on {trunk}."


def _list_differing(proposal: Proposal) -> tuple[Row, ...]:
    return tuple(each for each in proposal.kept if not each.why)


def _list_unfit(proposal: Proposal) -> tuple[Row, ...]:
    return tuple(each for each in proposal.kept if each.why)


def _write_unfit(row: Row) -> tuple[str, ...]:
    return (*_write_row(row), write_words(cut(row.why, WHY_MAX)))


def _write_row(row: Row) -> tuple[str, ...]:
    return tuple(write_code(cut(each, CELL_MAX)) for each in _list_cells(row))


def render_proposal(proposal: Proposal, trunk: str) -> str:
    """Return the run's table, in columns."""
    headings = ("Field", f"in {proposal.deployment}", f"on {trunk}", "what previews get")
    parts = [_say_state(proposal, trunk)]
    if proposal.obstacle:
        said = f"The policy lets no preview be made of it: {proposal.obstacle}. Correct its overrides, or the file."
        parts.append("\n".join(wrap(said, LINE_WIDTH_MAX)))
    if proposal.laid:
        parts.append(lay_table(headings, map(_list_cells, proposal.laid)))
    if differing := _list_differing(proposal):
        said = "nobody knows who changed it" if proposal.is_blind else "both changed it"
        parts += [f"Stays as on {trunk}, since {said}:", lay_table(headings, map(_list_cells, differing))]
    if unfit := _list_unfit(proposal):
        rows = [(*_list_cells(each), cut(each.why, WHY_MAX)) for each in unfit]
        parts += [f"Stays as on {trunk}, since no preview could be made with it:", lay_table((*headings, UNFIT), rows)]
    if proposal.empty:
        said = f"Without a value in previews, whose code finds an empty text there: {', '.join(proposal.empty)}."
        parts.append("\n".join(wrap(said, LINE_WIDTH_MAX)))
    return "\n\n".join(parts)


def _say_state(proposal: Proposal, trunk: str) -> str:
    name, path = proposal.deployment, proposal.template_path
    if not proposal.is_needed:
        return f"{name} is as the last snapshot on {trunk} has it: nothing to take over."
    if proposal.is_first:
        return f"{trunk} has no {path} yet; it is made of {name}."
    if proposal.is_blind:
        return f"{path} has no snapshot yet; {name} is noted as it is now, and the template stays as it is."
    return f"{name} changed since the last snapshot on {trunk}."


def _list_cells(row: Row) -> tuple[str, ...]:
    told = (_describe_production(row.production), describe_field(row.trunk), describe_field(row.previews))
    return tuple(cut(each, TEXT_LENGTH_MAX) for each in (format_location(row.path), *told))


def _describe_production(value: Any) -> str:
    """Return a field's value there; of a variable whose value was not copied, that it has one."""
    if _is_variable(value) and not value["value"]:
        return "a secret" if value["is_secret"] else "a value of its own"
    return describe_field(value)


def describe_field(value: Any) -> str:
    """Return a field's value in a few words."""
    if isinstance(value, Gap):
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if _is_variable(value):
        return "a secret, empty" if value["is_secret"] else value["value"] or "empty"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {describe_field(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(map(describe_field, value))
    return str(value)


def _is_variable(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"value", "is_secret"}
