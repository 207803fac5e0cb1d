"""What a person has to know to approve a deploy → the Markdown that Airflow shows beside the two buttons.

Pure. Whatever other people wrote (titles, subjects, names, paths) stands in code spans, where Markdown and HTML mean
nothing, and is cut; so the page's length has a bound and no branch can change what the page says.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

from include.deploy_ops.core.change.refs import read_kind
from include.deploy_ops.core.model import ChangeType, DeployDecision, PathVerdict, PullCommit, PullRequest
from include.deploy_ops.core.target.approvers import Panel
from include.deploy_ops.core.target.gates import Gate
from include.deploy_ops.core.target.mergeability import Mergeability
from include.deploy_ops.core.text.markdown import (
    REASON_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    quote_text,
    render_table,
    write_plain_link,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from include.deploy_ops.core.verification.fallback import VerifiedDeploy


COMMITS_SHOWN, FILES_SHOWN, PULLS_SHOWN, PEOPLE_SHOWN = 30, 20, 20, 10
"""Of these at most are listed; files are counted per kind. The pull request's own page has all."""

_SHORT = 12
IMAGE_LENGTH_MAX = 400
"""Characters of an image's name: its digest stands at the end."""


PageKind = Literal["pull", "commit", "tree", "compare"]


class Pages(Protocol):
    """Gives the address of the page of a pull request, a commit, a branch, or of two commits (`a..b`) compared."""

    def __call__(self, kind: PageKind, name: str | int, /) -> str:
        """Return the address."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """The target that follows the branch from which the pull request comes: staging.

    `head` is the branch's head that was deployed there last, None if nothing of ours was.
    """

    target: str
    deployment: str
    url: str
    head: str | None
    status: str
    is_healthy: bool
    overridden_by: str = ""


@dataclass(frozen=True, slots=True)
class FileGroup:
    """The changed files that ask for one kind of deploy: how many, and the first of them, cut to what is shown."""

    kind: ChangeType
    count: int
    shown: tuple[PathVerdict, ...]


@dataclass(frozen=True, slots=True)
class ReleaseDecision(DeployDecision):
    """Which deploy a target would get; `running` is the commit that it runs, None when unknown, `files` what changed.

    The bases stay unknown: nobody is asked about them.
    """

    _: KW_ONLY
    running: str | None
    files: tuple[FileGroup, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """A deploy that waits for approval.

    `ref` is what it was asked for by, written in full, so that its kind can be told. `base` is empty and `pull` None
    where a person asks for another commit. `running` is the commit that the Deployment runs, None when unknown;
    `carried` are the pull requests that the source branch holds though they are still open. `source` is None
    where no target follows it. `mergeability` is what is known of the merge, if one follows. `image` is the image's
    name by digest where one is deployed, empty where it is built only then; `image_source` is the entry of the policy
    that it is from. `rolls_back`: where its verification fails, the newest verified deploy of its `runtime` is deployed
    again, which is `fallback` now, None where there is none. `skips` are the target's gates that it passes by,
    `gates` how each of them stands as a person is asked. `drift` is where the target's Deployment differs in Astro from
    its template, as the last pass told it.
    """

    target: str
    deployment: str
    ref: str
    head: str
    base: str
    commit: str
    change_type: ChangeType
    reason: str
    running: str | None
    deadline: datetime
    asked_at: datetime
    pull: PullRequest | None = None
    commits: tuple[PullCommit, ...] = ()
    files: tuple[FileGroup, ...] = ()
    source: SourceState | None = None
    carried: tuple[PullRequest, ...] = ()
    is_merging: bool = False
    is_override: bool = False
    person: str = ""
    person_reason: str = ""
    image: str = ""
    image_source: str = ""
    panel: Panel = field(default_factory=Panel)
    mergeability: Mergeability = field(default_factory=Mergeability)
    rolls_back: bool = False
    fallback: VerifiedDeploy | None = None
    runtime: str = ""
    skips: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    drift: tuple[str, ...] = ()


def summarize_subject(release: Release) -> str:
    """Return the request's headline, as plain text: no word in it is written by others than the policy's authors."""
    kind = read_kind(release.ref)[0]
    forced = f"forced, by {kind}" if kind else "forced"
    what = f"pull request #{release.pull.number}" if release.pull else forced
    past = f", skips {', '.join(release.skips)}" if release.skips else ""
    return f"Deploy {release.commit} to {release.target}? ({what}{past})"


def summarize(release: Release, page_of: Pages) -> str:
    """Return the request's page: whether it looks well, what a yes does, what comes along; then the tables."""
    sections = [
        _describe_verdict(release),
        _describe_request(release, page_of),
        _describe_rollback(release, page_of),
        _link_comparison(release, page_of),
        _list_carried(release, page_of),
        _list_gates(release),
        _describe_drift(release),
        _describe_facts(release, page_of),
        _list_commits(release, page_of),
        *map(_list_files, release.files),
    ]
    return "\n\n".join(filter(None, sections))


def _describe_verdict(release: Release) -> str:
    """Return in one line what is to be looked at before the answer, then what is well; empty where neither is known."""
    doubts: list[str] = []
    well: list[str] = []
    if release.source is not None:
        is_well = release.source.head == release.head and release.source.is_healthy
        name = write_plain_link(quote_text(release.source.target), release.source.url)
        told = f"{name} {describe_source(release.source, release.head)}"
        (well if is_well and not release.source.overridden_by else doubts).append(told)
    if release.is_override:
        doubts.append("it comes **in place of what its source holds**")
    if release.skips:
        doubts.append(f"it **skips gates that are closed**: {', '.join(release.skips)}")
    if release.change_type is ChangeType.IMAGE and not release.image:
        doubts.append("nobody knows the image's digest yet")
    if release.is_merging:
        known = release.mergeability.problem or release.mergeability.note
        (doubts if known else well).append(
            f"**{quote_text(known, REASON_LENGTH_MAX)}**" if known else "nothing stands in the merge's way"
        )
    if not (doubts or well):
        return ""
    return f"**{'Look closer' if doubts else 'Ready'}**: {'; '.join(doubts + well)}"


def _describe_request(release: Release, page_of: Pages) -> str:
    what = f"**Approve** deploys **{release.change_type.value}** to {quote_text(release.deployment)}"
    if release.pull is None:
        asks = quote_text(release.person) if release.person else "A person"
        commit = f"{_link_commit(release.commit, page_of)} of {_describe_ref(release.ref)}"
        return f"{what}: {commit}. {asks} asks for it: {_quote_reason(release)}"
    pull = release.pull
    number = write_plain_link(f"#{pull.number}", page_of("pull", pull.number))
    by = f" by {quote_text(pull.author)}" if pull.author else ""
    into = f"{quote_text(pull.head_ref)} into {quote_text(pull.base_ref)}"
    then = ", and then merges exactly this head" if release.is_merging else ""
    asks = f" {quote_text(release.person)} asks for it by hand: {_quote_reason(release)}." if release.person else ""
    return (
        f"{what}: **{number}** {quote_text(pull.title)}{by}, {into}, as their merge{then}. "
        f"A yes is void when head, base or what runs there moves.{asks}"
    )


def _describe_rollback(release: Release, page_of: Pages) -> str:
    """Return what follows by itself where it does not work; empty where nothing does."""
    if not release.rolls_back:
        return ""
    rule = "If its verification fails, the newest verified deploy of its runtime is deployed again, once"
    known = release.fallback
    if known is None:
        return f"{rule}: now **nothing**, since no deploy of runtime {quote_text(release.runtime)} is verified."
    return f"{rule}: now {_link_commit(known.commit, page_of)}, verified {known.at:%Y-%m-%d %H:%M} UTC."


def _link_comparison(release: Release, page_of: Pages) -> str:
    """Return the link to all that changes there, also where what runs is no ancestor: two dots compare as it is."""
    if not release.running or release.running == release.commit:
        return ""
    return write_plain_link("Compare with what runs there", page_of("compare", f"{release.running}..{release.commit}"))


def _quote_reason(release: Release) -> str:
    return quote_text(release.person_reason, REASON_LENGTH_MAX)


def _describe_facts(release: Release, page_of: Pages) -> str:
    rows = {"deploy": f"**{release.change_type.value}**: {quote_text(release.reason, REASON_LENGTH_MAX)}"}
    rows["ref"] = _describe_ref(release.ref)
    rows["commit"] = _link_whole(release.commit, page_of)
    if release.base:
        head, base = _link_whole(release.head, page_of), _link_whole(release.base, page_of)
        rows["commit"] += f", the merge of head {head} into base {base}"
    if release.change_type is ChangeType.IMAGE:
        rows["image"] = _describe_image(release)
    rows["runs now"] = _link_whole(release.running, page_of) if release.running else "nothing that we know of"
    rows |= describe_panel(release.panel)
    until = f"{release.deadline:%Y-%m-%d %H:%M} UTC, without an answer until then it is rejected"
    # Airflow shows a run's first page each time that the run asks.
    again = "Asked again, it is open as long anew, and this page still tells how things were then"
    rows["asked"] = f"{release.asked_at:%Y-%m-%d %H:%M} UTC; open until {until}. {again}"
    return render_table(("", ""), rows.items())


def _describe_image(release: Release) -> str:
    if not release.image:
        return "built by the deploy: **nobody knows its digest yet**, and what the build brings in is not approved"
    return (
        f"{quote_text(release.image, IMAGE_LENGTH_MAX)} from {quote_text(release.image_source)}; no other is deployed"
    )


def _describe_ref(ref: str) -> str:
    kind, name = read_kind(ref)
    return f"{kind} {quote_text(name)}".strip()


def describe_source(source: SourceState, head: str) -> str:
    """Return whether staging shows what is about to be released, and how it does there."""
    health = "healthy" if source.is_healthy else f"**not healthy** ({quote_text(source.status)})"
    if source.overridden_by:
        return f"**is overridden** by {quote_text(source.overridden_by, REASON_LENGTH_MAX)}; {health}"
    if source.head is None:
        return f"**shows nothing of ours yet**; {health}"
    if source.head != head:
        return f"**shows another head**, `{source.head[:_SHORT]}`; {health}"
    return f"shows this head; {health}"


def describe_panel(panel: Panel) -> dict[str, str]:
    """Return who may approve, who may not and why, and whom the policy does not know; each only where there is any."""
    rows: dict[str, str] = {}
    if panel.users is not None:
        rows["may approve"] = _join(map(quote_text, panel.users))
    if panel.excluded:
        rows["may not"] = _join(f"{quote_text(user)}, who {why}" for user, why in panel.excluded.items())
    if panel.unmapped:
        names = _join(map(quote_text, panel.unmapped))
        rows["not known"] = f"**who these of GitHub are in Airflow, so an answer of theirs would count:** {names}"
    return rows


def _join(cells: Iterable[str]) -> str:
    shown = list(cells)
    more = f" … and {len(shown) - PEOPLE_SHOWN} more" if len(shown) > PEOPLE_SHOWN else ""
    return f"{'; '.join(shown[:PEOPLE_SHOWN]) or 'nobody'}{more}"


def _list_carried(release: Release, page_of: Pages) -> str:
    if not release.carried:
        return ""
    lines = [
        f"- {write_plain_link(f'#{pull.number}', page_of('pull', pull.number))} {quote_text(pull.title)}"
        for pull in release.carried[:PULLS_SHOWN]
    ]
    if len(release.carried) > PULLS_SHOWN:
        lines.append(f"- … and {len(release.carried) - PULLS_SHOWN} more")
    return "\n".join(["**Comes along though still open:**", "", *lines])


def _list_gates(release: Release) -> str:
    """Return how each gate stands, and what of them is passed by."""
    marks = {gate.name: "skipped" if gate.name in release.skips else "**not met**" for gate in release.gates}
    rows = [
        (gate.name, marks[gate.name] if gate.unmet else "met", quote_text(gate.said, REASON_LENGTH_MAX))
        for gate in release.gates
    ]
    return render_table(("gate", "", "as this was asked"), rows) if rows else ""


def _describe_drift(release: Release) -> str:
    """Return where what runs is configured otherwise than on trunk; the deploy changes nothing of it."""
    told = "; ".join(quote_text(each, REASON_LENGTH_MAX) for each in release.drift)
    return f"**Drift**, which the deploy leaves as it is: {told}" if told else ""


def _list_commits(release: Release, page_of: Pages) -> str:
    if not release.commits:
        return ""
    newest = release.commits[: -COMMITS_SHOWN - 1 : -1]
    count = len(release.commits)
    rows = [(_link_commit(each.sha, page_of), quote_text(each.subject), quote_text(each.author)) for each in newest]
    table = render_table(("commit", "subject", "author"), rows, count - len(newest))
    return f"**{_count(count, 'commit')}**, newest first\n\n{table}"


def group_files(paths: Iterable[PathVerdict]) -> tuple[FileGroup, ...]:
    """Return the files by what they ask for, the dearest first; small enough to be handed from task to task."""
    found = tuple(paths)
    groups = ((kind, [path for path in found if path.verdict is kind]) for kind in reversed(ChangeType))
    return tuple(FileGroup(kind, len(own), tuple(map(_cut, own[:FILES_SHOWN]))) for kind, own in groups if own)


def _cut(path: PathVerdict) -> PathVerdict:
    # One character more than is shown, so that the page can tell that something is missing.
    return replace(path, path=path.path[: TEXT_LENGTH_MAX + 1], rule=path.rule[: TEXT_LENGTH_MAX + 1])


def _list_files(group: FileGroup) -> str:
    asks = "nothing" if group.kind is ChangeType.NONE else group.kind.value
    rows = [(quote_text(path.path), quote_text(path.rule)) for path in group.shown]
    table = render_table(("file", "why"), rows, group.count - len(group.shown))
    return f"**{_count(group.count, 'file')} asking for {asks}**\n\n{table}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _link_commit(commit: str, page_of: Pages) -> str:
    return write_plain_link(f"`{commit[:_SHORT]}`", page_of("commit", commit))


def _link_whole(commit: str, page_of: Pages) -> str:
    """Return what is decided about by all its digits: a shortened id is what somebody can make another commit share."""
    return write_plain_link(f"`{commit}`", page_of("commit", commit))
