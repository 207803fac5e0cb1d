"""The texts on GitHub: the comment on a pull request, and the lines of commit statuses. Pure; decides nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from include.deploy_ops.core.plan.outcome import FAILED, NOTHING_TO_DEPLOY, SUCCESS, Outcome
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.text.markdown import (
    cut,
    flatten,
    render_table,
    write_block,
    write_code,
    write_link,
    write_words,
)
from include.deploy_ops.core.verification.judging import tell_changes, tell_error
from include.deploy_ops.core.verification.smoke import tell_run
from include.deploy_ops.core.verification.standing import advise
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.following import FOLLOWED_FOR
from include.deploy_ops.core.view.row import Followed, Row, RowKind, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from include.deploy_ops.core.feedback.values import Facts

PULL_COMMENT_LENGTH_MAX = 65_000
"""GitHub takes 65,536 characters."""

LINE_LENGTH_MAX = 140
"""What GitHub takes as the description of a commit status or of a GitHub Deployment's status."""

WHY_LENGTH_MAX = 400
CAUSE_BLOCK_LINES_MAX = 12
CAUSE_BLOCK_LENGTH_MAX = 1500
CONFLICTS_MAX = 20
ENVIRONMENTS_MAX = 20

COMMENT_HEADINGS = ("Environment", "State", "Deployed", "Newest", "")
NOTHING = "\N{EN DASH}"

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_SHOWN_DIGITS = 7
_KINDS = {"dags": "DAG-only deploy", "image-and-dags": "image deploy", "none": "nothing to deploy"}
_VERBS = {
    "create": "being created",
    "deploy": "being deployed",
    "delete": "being deleted",
    "update": "its configuration is being updated",
    "hibernate": "being hibernated",
    "merge": "its pull request is being merged",
    "adopt": "being adopted",
    "promote": "being promoted",
    "request": "asking for approval",
    "resume": "being resumed",
    "keep": "being kept",
    "verify": "being verified",
    "mute": "its error is being muted",
}
HARMLESS = {"update", "hibernate", "merge", "adopt", "resume", "keep", "verify", "mute"}
"""The verbs whose runs leave the deployed commit as it is."""

_STATES = {
    State.REMOVED: "removed",
    State.APPROVAL: "needs approval",
    State.FAILED: "failed",
    State.FAILING: "failing",
    State.FROZEN: "frozen",
    State.HELD: "held",
    State.WAITING: "waiting",
    State.UNHEALTHY: "unhealthy",
    State.ASLEEP: "asleep",
    State.LIVE: "live",
}
_KIND_ORDER = {RowKind.PREVIEW: 0, RowKind.TARGET: 1, RowKind.DEPLOY_BRANCH: 2}


def name_environment(row: Row) -> str:
    """Return what people call the environment, such as `preview of dev-x`."""
    return f"{row.kind.value} {row.branch if row.kind is RowKind.PREVIEW else row.environment}"


def name_state(row: Row) -> str:
    """Return the state in a few words."""
    if row.state is State.DEPLOYING:
        return _VERBS.get(row.verb, "being worked on")
    return _STATES[row.state]


def name_proof(row: Row) -> str:
    """Return whether what runs is verified, in a few words; empty where nobody asks, or something else is to run."""
    known = row.verification
    is_over = row.state is State.REMOVED or (row.state is State.DEPLOYING and row.verb not in HARMLESS)
    return "" if known is None or (is_over and known.proof is not Proof.PENDING) else known.said


def write_line(text: str) -> str:
    """Return the text as a status' description: one line, short, without characters that GitHub's field refuses."""
    return cut(_ASTRAL.sub("?", flatten(text)), LINE_LENGTH_MAX)


def find_outcome(row: Row) -> Outcome | None:
    """Return how the newest run that deploys ended."""
    return next((each for each in reversed(row.outcomes) if each.is_deploy), None)


def write_time(at: datetime) -> str:
    """Return the time as people read it."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def write_seconds(seconds: float) -> str:
    """Return a duration as people read it."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def render_comment(facts: Facts, pull: int, rows: Sequence[Row]) -> str:
    """Return the comment on a pull request that concerns these environments."""
    ordered = sorted(rows, key=lambda row: (_KIND_ORDER[row.kind], row.environment, row.slug))
    shown = ordered[:ENVIRONMENTS_MAX]
    cells = [_list_cells(facts, row) for row in shown]
    parts = [render_table(COMMENT_HEADINGS, cells), *_list_details(facts, pull, shown)]
    if len(shown) < len(ordered):
        parts.append(f"{len(ordered) - len(shown)} environments more stand in Airflow.")
    parts += _render_conflicts(shown)
    return _frame(facts, pull, parts)


def render_ending(facts: Facts, pull: int, endings: Iterable[tuple[str, str]]) -> str:
    """Return the comment on a pull request that is not followed any more.

    :param endings: environments in words, each with what became of the pull request there, as Markdown.
    """
    parts = [f"{_capitalize(write_words(name))}: {ending}." for name, ending in endings]
    return _frame(facts, pull, parts or ["Nothing is deployed for it."])


def tell_ending(row: Row | None, pull: int, *, is_removed: bool, merges: bool = True) -> str:
    """Return what became of a pull request in an environment, as far as the row remembers it, as Markdown.

    :param merges: whether the environment's runs may have merged it; else a person did.
    """
    if is_removed:
        return "**removed**"
    own = [each for each in row.outcomes if each.pull == pull and each.state == SUCCESS] if row else []
    deploy = next((each for each in reversed(own) if each.is_deploy), None)
    said = []
    if row is not None and deploy is not None:
        name = write_words(row.deployment_name or row.environment)
        said.append(f"deployed to {name}" if deploy.kind != NOTHING_TO_DEPLOY else f"nothing to deploy to {name}")
        said += [f"approved by {write_words(deploy.approver)}"] if deploy.approver else []
    is_ours = any(each.verb == Verb.MERGE.value for each in own)
    if is_ours or (row is not None and pull in row.merged):
        said.append("merged" if is_ours or merges else "merged by a person")
    followed = next((each for each in row.followed if each.pull == pull), None) if row else None
    if followed is not None and not said:
        return _tell_followed(followed)
    return ", ".join(said) or "not followed here any more: the pull request is closed"


def _tell_followed(followed: Followed) -> str:
    if not followed.commit:
        return f"not yet; followed for some {FOLLOWED_FOR.days} days"
    head, commit = (write_code(sha[:_SHOWN_DIGITS]) for sha in (followed.head, followed.commit))
    return f"got {head} of this pull request, {write_time(followed.at)}, with {commit}"


def _frame(facts: Facts, pull: int, parts: Sequence[str]) -> str:
    """Return the whole comment; of a text too long for GitHub, the beginning."""
    control = write_link("Airflow", facts.link_run(f"{facts.project}.control"))
    foot = f"<sub>Kept up to date by Deploy Ops, project {write_code(facts.project)}, from {control}.</sub>"
    room = PULL_COMMENT_LENGTH_MAX - len(foot) - len(facts.mark_comment(pull))
    kept: list[str] = []
    for part in parts:
        room -= len(part) + 2
        if room < 0:
            break
        kept.append(part)
    return "\n\n".join([facts.mark_comment(pull), *kept, foot])


def _list_cells(facts: Facts, row: Row) -> tuple[str, ...]:
    links = [
        write_link("Open Airflow", row.airflow_url) if row.airflow_url and row.state is not State.REMOVED else "",
        _write_run_link(facts, row),
        write_link("Astro", row.astro_url) if row.astro_url else "",
    ]
    branch = row.branch if row.kind is RowKind.PREVIEW else row.environment
    is_removed = row.state is State.REMOVED
    return (
        f"{row.kind.value.capitalize()} {write_code(branch)}",
        f"**{name_state(row)}**{_add_proof(row)}",
        NOTHING if is_removed else _show_deployed(facts, row),
        _show_commit(facts, row.head),
        " · ".join(link for link in links if link.startswith("[")),
    )


def _add_proof(row: Row) -> str:
    proof = name_proof(row)
    return f", {write_words(cut(flatten(proof), WHY_LENGTH_MAX))}" if proof else ""


def _show_deployed(facts: Facts, row: Row) -> str:
    """Return the commit that runs there, and since when."""
    commit = _show_commit(facts, row.deployed)
    return f"{commit} since {write_time(row.deployed_at)}" if row.deployed and row.deployed_at else commit


def _write_run_link(facts: Facts, row: Row) -> str:
    if row.run_id:
        return write_link("Run", facts.link_run(row.run_dag or row.dag, row.run_id))
    if outcome := find_outcome(row):
        return write_link("Run", facts.link_run(outcome.dag, outcome.run_id))
    return write_link("DAG", facts.link_run(row.dag))


def _show_commit(facts: Facts, sha: str) -> str:
    return write_link(write_code(sha[:_SHOWN_DIGITS]), facts.link_commit(sha)) if sha else NOTHING


def _list_details(facts: Facts, pull: int, rows: Sequence[Row]) -> list[str]:
    """Return what stands below the table: of each environment a list, and its error where there is one.

    Of an environment that has the pull request's change among others', that it has it, and nothing of the others'.
    """
    parts = []
    for row in rows:
        head = "" if pull in {row.pull, *row.pulls} else dict(row.carried).get(pull, "")
        lines = [f"- {line}" for line in (_list_carried(row, head) if head else _list_lines(facts, row))]
        if len(rows) > 1 and lines:
            lines.insert(0, f"**{_capitalize(write_words(name_environment(row)))}**\n")
        parts += ["\n".join(lines)] if lines else []
        parts += [] if head else [*_list_failure(facts, row), *_list_errors(row), *_list_runs(row)]
    return parts


def _list_carried(row: Row, head: str) -> Iterable[str]:
    yield f"It has {write_code(head[:_SHOWN_DIGITS])} of this pull request."
    why = cut(flatten(row.why), WHY_LENGTH_MAX)
    if row.state not in {State.LIVE, State.DEPLOYING} and why:
        yield f"{_capitalize(name_state(row))}: {write_words(why)}"


def _list_lines(facts: Facts, row: Row) -> Iterable[str]:
    why = cut(flatten(row.why), WHY_LENGTH_MAX)
    is_told_below = _has_failed(row) or (row.state is State.UNHEALTHY and row.why == row.status_reason)
    if why and not is_told_below:
        yield f"{_capitalize(name_state(row))}: {write_words(why)}"
    if row.state is State.APPROVAL and (page := facts.link_run(row.run_dag or row.request_dag, row.run_id)):
        yield f"{write_link('Open the question', page)}."
    if row.state is State.UNHEALTHY and row.status_reason:
        yield f"Astro says {write_words(row.status)}: {write_words(cut(flatten(row.status_reason), WHY_LENGTH_MAX))}"
    for hold in row.holds:
        if not row.why.endswith(_read_reason(hold)):
            yield f"Held: {write_words(cut(flatten(_shorten_hold(hold)), WHY_LENGTH_MAX))}"
    if (outcome := find_outcome(row)) is not None:
        yield _tell_deploy(outcome)
    yield from _list_environment(row)
    yield from _list_changes(row)
    if row.kept:
        yield f"Kept {write_words(row.kept)}. It does not expire."
    elif row.next_step is not None and row.state is not State.REMOVED:
        yield _tell_next_step(facts, row)
    if row.cost is not None:
        yield f"Cost, an estimate: {write_words(row.cost.said)}."


def _list_environment(row: Row) -> Iterable[str]:
    if row.drift and row.kind is RowKind.PREVIEW:
        told = write_words(cut(flatten("; ".join(row.drift)), WHY_LENGTH_MAX))
        yield f"Differs in Astro from what was rendered: {told}"
    if row.connections:
        keys = _write_keys(row.connections)
        yield f"Connections from the environment: {keys}. Its Airflow uses them, and its UI does not list them."
    if row.unfilled:
        yield f"Secrets that nothing fills, empty unless somebody set them in Astro: {_write_keys(row.unfilled)}"


def _write_keys(keys: Iterable[str]) -> str:
    """Return names of environment variables as Markdown."""
    return ", ".join(map(write_code, keys))


def _list_changes(row: Row) -> Iterable[str]:
    for line in tell_changes(row.verification) if row.verification is not None and name_proof(row) else ():
        yield f"DAGs {write_words(cut(flatten(line), WHY_LENGTH_MAX))}"


def _shorten_hold(hold: str) -> str:
    """Return a hold without the environment's name, which releases before 0.3 wrote: "update dev-x held: why"."""
    what, parted, said = hold.partition(" held: ")
    return f"{what.partition(' ')[0]}: {said}" if parted else hold


def _read_reason(hold: str) -> str:
    return hold.partition(" held: ")[2] or hold


def _tell_deploy(outcome: Outcome) -> str:
    """Return how the newest run that deploys ended: deploy type, commit, how long, who, when and why."""
    kind = _KINDS.get(outcome.kind, "deploy")
    commit = f" of {write_code(outcome.commit[:_SHOWN_DIGITS])}" if outcome.commit else ""
    ended = {"success": "in", "failed": "failed after"}.get(outcome.state, f"{outcome.state} after")
    took = f" {ended} {write_seconds(outcome.seconds)}"
    by = f", by {write_words(outcome.person)}" if outcome.person else ""
    by += f", approved by {write_words(outcome.approver)}" if outcome.approver else ""
    by += f", because {write_words(cut(flatten(outcome.reason), WHY_LENGTH_MAX))}" if outcome.reason else ""
    why = f": {write_words(cut(flatten(outcome.why), WHY_LENGTH_MAX))}" if outcome.why else ""
    return f"Last run: {kind}{commit}{took}{by}, {write_time(outcome.at)}{why}"


def _tell_next_step(facts: Facts, row: Row) -> str:
    step = row.next_step
    if step is None:
        return ""
    what = {"hibernate": "hibernates", "delete": "is deleted"}.get(step.what, step.what)
    said = f"Cleanup: it {write_words(what)} on {write_time(step.at)}: {write_words(step.reason)}."
    if step.what == "delete" and facts.keep_label:
        said += f" A push, or the label {write_code(facts.keep_label)}, keeps it."
    return said


def _has_failed(row: Row) -> bool:
    return row.state in {State.FAILED, State.FAILING}


def _list_failure(facts: Facts, row: Row) -> list[str]:
    if not _has_failed(row):
        return []
    outcome = next((each for each in reversed(row.outcomes) if each.state == FAILED), None)
    cause = (outcome.cause if outcome else "") or row.why or "see the run's log"
    what = outcome.verb if outcome and outcome.verb in _VERBS else "run"
    commit = f" at {write_code(outcome.commit[:_SHOWN_DIGITS])}" if outcome and outcome.commit else ""
    head = f"The {what} of {write_words(name_environment(row))}{commit} failed:"
    block = write_block(cause, CAUSE_BLOCK_LINES_MAX, CAUSE_BLOCK_LENGTH_MAX)
    return [head, block, _tell_retry(facts, row, outcome)]


def _list_errors(row: Row) -> list[str]:
    """Return the import errors of what runs, with file and line, and what to do."""
    known = row.verification
    if known is None or not name_proof(row) or not known.broken:
        return []
    errors = write_block("\n".join(map(tell_error, known.broken)), CAUSE_BLOCK_LINES_MAX, CAUSE_BLOCK_LENGTH_MAX)
    head = f"Import errors of {write_words(name_environment(row))} at {write_code(known.commit[:_SHOWN_DIGITS])}:"
    todo = [f"To do: {write_words(advise(known))}."] if known.proof is Proof.FAILED else []
    return [head, errors, *todo]


def _list_runs(row: Row) -> list[str]:
    """Return how the smoke runs of what runs there ended, and what to do."""
    known = row.verification
    if known is None or not name_proof(row) or not known.runs:
        return []
    runs = write_block("\n".join(map(tell_run, known.runs)), CAUSE_BLOCK_LINES_MAX, CAUSE_BLOCK_LENGTH_MAX)
    head = f"Smoke runs of {write_words(name_environment(row))} at {write_code(known.commit[:_SHOWN_DIGITS])}:"
    todo = [f"To do: {write_words(advise(known))}."] if known.proof is Proof.FAILED else []
    return [head, runs, *todo]


def _tell_retry(facts: Facts, row: Row, outcome: Outcome | None) -> str:
    if row.state is State.FAILING:
        return "It is tried again by itself, after a growing delay; a push tries at once."
    dag = outcome.dag if outcome else row.dag
    run = write_link("the failed run", facts.link_run(dag, outcome.run_id if outcome else ""))
    form = write_link("the form", facts.link_run(row.dag))
    return f"To retry: push a mended commit, clear {run} in Airflow, or deploy by {form} of {write_code(row.dag)}."


def _render_conflicts(rows: Sequence[Row]) -> list[str]:
    found = list(dict.fromkeys(conflict for row in rows for conflict in row.conflicts))
    if not found:
        return []
    lines = ["Promotion did not take all of this pull request:", ""]
    lines += [f"- {write_words(cut(flatten(each), WHY_LENGTH_MAX))}" for each in found[:CONFLICTS_MAX]]
    if len(found) > CONFLICTS_MAX:
        lines.append(f"- … {len(found) - CONFLICTS_MAX} more")
    return ["\n".join(lines)]


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]
