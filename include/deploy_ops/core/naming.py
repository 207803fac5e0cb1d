"""Names both ways: Deployment names, run ids, the ownership mark and the deploy description.

Everything that has to be read back from Astro or Airflow is written and parsed here; nothing else formats it.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from include.deploy_ops.core.model import COMMIT_ID, Mark

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOYMENT_NAME_LENGTH_MAX = 60
"""Characters; Astro publishes no limit, so we stay short enough to be read in its lists."""

SLUG_LENGTH_MAX = 40
"""Characters of a branch's slug in run ids and memory keys (a run id holds at most 250)."""

DESCRIPTION_TEXT_LENGTH_MAX = 200
"""Characters of free text (a person's reason) in a deploy description."""

DESCRIPTION_LENGTH_MAX = 500
"""Characters of a deploy description that Astro takes (its API's own description); the tag comes first."""

MARKED_LENGTH_MAX = 1000
"""Characters of a Deployment's description that Astro takes, text and mark (likewise)."""

OWN_CHECKS = "deploy-ops/"
"""How the contexts of commit statuses begin by which we tell of environments."""

CUT = "..."
"""Ends a text that was cut; no branch and no tag can hold it (git-check-ref-format(1))."""

_BRANCH_LENGTH_MAX = 340
"""Of a branch in a mark, as it is quoted: a longer one stands in base64, which 255 bytes, GitHub's most, fill."""

_READABLE_MIN = 80
"""Characters of a deploy description that people can read, as long as only a ref or a person has to be cut."""

_HASH = 8
_READABLE = re.compile(r"[a-z0-9_][a-z0-9_-]*")
_LOOKS_HASHED = re.compile(rf"-[0-9a-f]{{{_HASH}}}$")
_PLAIN = re.compile(r"[a-z0-9_]+")
_ENDS_HASHED = re.compile(rf"_[0-9a-f]{{{_HASH}}}$")
_TAG_START = "[deploy-ops/"
_VERSION = 1
_ANY_TAG = re.compile(r"\[deploy-ops/([0-9]{1,9})")
_TAG = re.compile(r"\[deploy-ops/1((?: [a-z_]+=[A-Za-z0-9_.~/:+@,%-]*)+)\]")
_SAFE = "/:+@,"
_BACK = "b"
"""Key of `names_rollback`, as short as the longest names leave room for."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_COUNT = re.compile(r"[1-9][0-9]{0,8}")


def hash_text(text: str, length: int) -> str:
    """Return the first `length` hexadecimal digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def slug_branch(branch: str, length_max: int = SLUG_LENGTH_MAX) -> str:
    """Return a name for the branch made of a-z, 0-9, `_` and `-`, unique per branch.

    The branch itself where it can be read back from the slug; otherwise a readable part and a hash of the branch.
    It never depends on which other branches exist.
    """
    if _READABLE.fullmatch(branch) and len(branch) <= length_max and not _LOOKS_HASHED.search(branch):
        return branch
    readable = re.sub(r"[^a-z0-9_]+", "-", branch.lower()).strip("-")
    return f"{readable[: length_max - _HASH - 1].rstrip('-') or 'b'}-{hash_text(branch, _HASH)}"


def name_schema(branch: str) -> str:
    """Return a name for the branch made of a-z, 0-9 and `_`, unique per branch, as databases take it unquoted.

    As `slug_branch`: the branch itself where it can be read back, otherwise a readable part and a hash.
    """
    is_plain = _PLAIN.fullmatch(branch) and len(branch) <= SLUG_LENGTH_MAX and not _ENDS_HASHED.search(branch)
    if is_plain:
        return branch
    readable = re.sub(r"[^a-z0-9]+", "_", branch.lower()).strip("_")
    return f"{readable[: SLUG_LENGTH_MAX - _HASH - 1].rstrip('_') or 'b'}_{hash_text(branch, _HASH)}"


def name_deployment(project: str, branch: str) -> str:
    """Return the preview's Deployment name: project and branch, readable, never shared by two branches.

    A project's name has no hyphen, so the first hyphen ends it.
    """
    return f"{project}-{slug_branch(branch, DEPLOYMENT_NAME_LENGTH_MAX - len(project) - 1)}"


def name_owner(control_plane: str, project: str) -> str:
    """Return who deploys, as a deploy's description names it; neither name has a slash."""
    return f"{control_plane}/{project}"


def slug_target(target: str) -> str:
    """Return the key of a target's environment; no branch's slug holds a dot."""
    return f"target.{target}"


PROMOTION_SLUG = "deploy.branch"
"""The key of the deploy branch's environment; a project has one."""


def digest_work(facts: Mapping[str, object]) -> str:
    """Return 8 hexadecimal digits over what a piece of work is about and what was observed for it."""
    return hash_text(json.dumps(facts, sort_keys=True, separators=(",", ":")), 8)


def name_subject(deployment_id: str, head: str, observed: str, base: str = "") -> str:
    """Return what a person is asked about, whatever policy and template say: an answer holds until some of it moves.

    :param observed: the Deployment's newest deploy record.
    :param base: of a pull request, its base's head.
    """
    onto = f" onto {base}" if base else ""
    return f"{deployment_id} at {head}{onto} on {observed}"


def name_work(slug: str, verb: str, head: str, digest: str) -> str:
    """Return `<slug>~<verb>~<head12>~<digest8>`: a run id without its attempt."""
    return f"{slug}~{verb}~{head[:12]}~{digest}"


def name_run(work: str, attempt: int) -> str:
    """Return the run id of the work's attempt (1, 2, …)."""
    return f"{work}~{attempt}"


_COMMENT = "comment"
_COMMENT_RUN = re.compile(rf"[^~]+~[^~]+~{_COMMENT}~([1-9][0-9]{{0,18}})~1")


def name_comment_run(slug: str, verb: str, comment_id: int) -> str:
    """Return the id of the one run that a comment on GitHub may start: in no part of it does it hang on the time."""
    return name_run(name_work(slug, verb, _COMMENT, str(comment_id)), 1)


def read_comment(run_id: str) -> int:
    """Return the comment that asked for the run, 0 where none did."""
    match = _COMMENT_RUN.fullmatch(run_id)
    return int(match[1]) if match else 0


_RUN_PARTS = 5

OWN_RUN_START = "deploy-ops~"
"""How the id of a run begins that we start in a Deployment's own Airflow, where every other manual run is a person's.
"""


def read_attempt(work: str, run_id: str) -> int:
    """Return the attempt whose run this is, 0 where it is another work's run."""
    name, _, attempt = run_id.rpartition("~")
    return int(attempt) if name == work and _COUNT.fullmatch(attempt) else 0


def read_verb(run_id: str) -> str:
    """Return the verb that a planned run's id names, empty where it is another's run."""
    parts = run_id.split("~")
    return parts[1] if len(parts) == _RUN_PARTS else ""


def _write_tag(fields: Mapping[str, str]) -> str:
    body = "".join(f" {key}={quote(value, safe=_SAFE)}" for key, value in fields.items())
    return f"[deploy-ops/1{body}]"


def _read_tag(text: str) -> dict[str, str] | None:
    """Return the fields of the text's tag; None if it has none, several, or one that we would not have written so."""
    if text.count(_TAG_START) != 1 or (match := _TAG.search(text)) is None:
        return None
    pairs = [field.split("=") for field in match.group(1)[1:].split(" ")]
    fields = {key: unquote(value) for key, value in pairs}
    is_exact = len(fields) == len(pairs) and ("%" not in match.group() or _write_tag(fields) == match.group())
    return fields if is_exact else None


def format_mark(mark: Mark, text: str = "") -> str:
    """Return a Deployment's description: its own text, cut where both do not fit, then our mark as one tag.

    A tag in the text is left out: a template that `inspect` took from a preview has that preview's mark.
    """
    tag = _write_tag(
        {
            "control_plane": mark.control_plane,
            "project": mark.project,
            "repository": mark.repository,
            **_pack_branch(mark.branch),
            "template": mark.template,
        }
    )
    own = _TAG.sub("", text).replace(_TAG_START, "(deploy-ops/").strip()
    return f"{_shorten(own, MARKED_LENGTH_MAX - len(tag) - 1)} {tag}".strip()


def _pack_branch(branch: str) -> dict[str, str]:
    """Return the branch as a mark holds it: whole, whatever it is, since previews are found by it."""
    if len(quote(branch, safe=_SAFE)) <= _BRANCH_LENGTH_MAX:
        return {"branch": branch}
    return {"packed_branch": base64.urlsafe_b64encode(branch.encode()).decode().rstrip("=")}


def _unpack_branch(packed: str) -> str | None:
    """Return the branch that stands in base64; None for what we would not have written so."""
    try:
        branch = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
    except ValueError:  # no base64, or no text in it
        return None
    return branch if _pack_branch(branch) == {"packed_branch": packed} else None


def parse_mark(description: str) -> Mark | None:
    """Return the ownership mark in a Deployment's description, or None if there is none of ours.

    People may write before and after it. Two marks are none: nobody knows which of them is meant. Keys that we do not
    know are a later release's, and change nothing about what the others say; a later version's mark is none of ours.
    """
    fields = _read_tag(description) or {}
    if ("packed_branch" in fields) == ("branch" in fields):
        return None
    branch = fields.get("branch", _unpack_branch(fields.get("packed_branch", "")))
    names = Mark.__dataclass_fields__.keys() - {"branch"}
    if branch is None or not fields.keys() >= names:
        return None
    return Mark(branch=branch, **{name: fields[name] for name in names})


def has_later_mark(description: str) -> bool:
    """Whether a mark of a later version stands there: who wrote it owns the Deployment, and we never touch it."""
    return any(int(version) > _VERSION for version in _ANY_TAG.findall(description))


@dataclass(frozen=True, slots=True)
class DeployNote:
    """What our deploy description says; `attempt` tells the tries of one run apart.

    `head` is the source's head when the deploy was decided, `commit` what was deployed: they differ in a rollback, and
    where a pull request's test merge is deployed. `is_override` tells a forced deploy of something else than what the
    source has now: a rollback, or another branch's commit. `image` says where the image came from that is deployed
    along: "ci" or "build" of a target's, "preview"; empty where nobody told. `person` asked for it, `approver` said
    yes. `owner` is as `name_owner` says it, empty in a note of an older version. `names_rollback` tells that what was
    verified before is deployed again where this one's verification fails; `undoes` is the failed deploy record in
    whose place that was done. Of a description that would be too long, ref, person and approver were cut, and end in
    `CUT`.
    """

    ref: str
    commit: str
    head: str
    run_id: str
    attempt: int
    is_forced: bool
    person: str = ""
    reason: str = ""
    is_override: bool = False
    image: str = ""
    approver: str = ""
    owner: str = ""
    names_rollback: bool = False
    undoes: str = ""

    @property
    def how(self) -> str:
        """Who decided: the planner, or a person, and then whether for what the source has or for something else."""
        if self.is_override:
            return "override"
        return "forced" if self.is_forced else "planned"

    @property
    def what(self) -> str:
        """What was deployed, for people: ref and commit, once where the ref is the commit's id."""
        commit = self.commit[:12]
        return commit if self.ref == self.commit else f"{self.ref}@{commit}"

    @property
    def needle(self) -> str:
        """The part of the description by which this call's record is found; no text of a person's can hold it.

        With its owner: another control plane gives equal work equal names.
        """
        tag = _write_tag({"run": self.run_id, "try": str(self.attempt)} | ({"of": self.owner} if self.owner else {}))
        return f"{tag.removesuffix(']')} "

    def is_of(self, owner: str) -> bool:
        """Whether the owner's runs wrote it; a note of an older version names none, and counts as one's own."""
        return self.owner in {"", owner}


def format_note(note: DeployNote) -> str:
    """Return the deploy's description: a sentence for people, then a tag for us.

    Never longer than Astro takes: what a deploy is judged by is kept, what people are called is cut.
    """
    says = _flatten(f"{_introduce(note)}: {note.reason}" if note.reason else _introduce(note))
    kept = {"run": note.run_id, "try": str(note.attempt)}
    kept |= {"of": note.owner} if note.owner else {}
    kept |= {"how": note.how, "head": note.head, "commit": note.commit, "ref": "", "by": ""}
    kept |= {"image": note.image} if note.image else {}
    kept |= {_BACK: "1"} if note.names_rollback else {}
    kept |= {"undoes": note.undoes} if note.undoes else {}
    room = DESCRIPTION_LENGTH_MAX - len(_write_tag(kept)) - 1
    tag = _write_tag(kept | _cut_fields(note, max(room - min(len(says), _READABLE_MIN), min(room, 2 * len(CUT)))))
    room = min(DESCRIPTION_TEXT_LENGTH_MAX, DESCRIPTION_LENGTH_MAX - len(tag) - 1)
    return f"{_shorten(says, room)} {tag}".strip()


def _introduce(note: DeployNote) -> str:
    """Return what stands before the reason."""
    says = f"{note.what}, {note.how}" + (f" by {note.person}" if note.person else "")
    return says + (f", approved by {note.approver}" if note.approver else "")


def _flatten(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text.replace("[", "(").replace("]", ")")).split())


def read_sentence(description: str) -> str:
    """Return what a deploy's description says to people: all but our tag."""
    return description.partition(_TAG_START)[0].strip()


def read_reason(description: str, note: DeployNote) -> str:
    """Return the reason that our deploy's description gives, as far as it had room; empty where it gives none.

    :param note: what `parse_note` read of it.
    """
    before = f"{_flatten(_introduce(note))}: "
    says = read_sentence(description)
    return says.removeprefix(before) if says.startswith(before) else ""


def _cut_fields(note: DeployNote, room: int) -> dict[str, str]:
    """Return ref, person and approver, each cut to what those before it left of the room, in quoted characters."""
    fields: dict[str, str] = {}
    for key, text, extra in (("ref", note.ref, ""), ("by", note.person, ""), ("approved", note.approver, " approved=")):
        spare = len(CUT) if key == "ref" and note.person else 0
        cut = _cut_quoted(text, room - len(extra) - spare)
        if cut or not extra:
            fields[key] = cut
            room -= len(extra) + len(quote(cut, safe=_SAFE))
    return fields


def _cut_quoted(text: str, room: int) -> str:
    """Return the text; where it is quoted to more than `room` characters its beginning and `CUT`, or nothing."""
    if len(quote(text, safe=_SAFE)) <= room:
        return text
    room -= len(CUT)
    lengths = itertools.accumulate(len(quote(each, safe=_SAFE)) for each in text)
    return text[: sum(length <= room for length in lengths)] + CUT if room >= 0 else ""


def _shorten(text: str, room: int) -> str:
    """Return the text, cut to `room` characters, with `CUT` at its end where there is room for it."""
    if len(text) <= room:
        return text
    return f"{text[: room - len(CUT)]}{CUT}" if room > len(CUT) else ""


def parse_note(description: str) -> DeployNote | None:
    """Return what our deploy description says, or None for a record that is not ours."""
    fields = _read_tag(description) if description.endswith("]") else None
    if fields is None or not fields.keys() >= {"run", "try", "how", "head", "commit", "ref", "by"}:
        return None
    is_sound = fields["how"] in {"planned", "forced", "override"} and _COUNT.fullmatch(fields["try"])
    if not is_sound or not all(COMMIT_ID.fullmatch(fields[key]) for key in ("head", "commit")):
        return None
    return DeployNote(
        ref=fields["ref"],
        commit=fields["commit"],
        head=fields["head"],
        run_id=fields["run"],
        attempt=int(fields["try"]),
        is_forced=fields["how"] != "planned",
        person=fields["by"],
        is_override=fields["how"] == "override",
        image=fields.get("image", ""),
        approver=fields.get("approved", ""),
        owner=fields.get("of", ""),
        names_rollback=fields.get(_BACK) == "1",
        undoes=fields.get("undoes", ""),
    )
