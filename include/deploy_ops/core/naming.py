"""Names both ways: Deployment names, run ids, the ownership mark and the deploy description.

Everything that has to be read back from Astro or Airflow is written and parsed here; nothing else formats it.
"""

from __future__ import annotations

import hashlib
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
"""Characters of a deploy description that Astro takes; the free text leaves room for the tag."""

_HASH = 8
_READABLE = re.compile(r"[a-z0-9_][a-z0-9_-]*")
_LOOKS_HASHED = re.compile(rf"-[0-9a-f]{{{_HASH}}}$")
_TAG_START = "[deploy-ops/"
_VERSION = 1
_ANY_TAG = re.compile(r"\[deploy-ops/([0-9]{1,9})")
_TAG = re.compile(r"\[deploy-ops/1((?: [a-z_]+=[A-Za-z0-9_.~/:+@,%-]*)+)\]")
_SAFE = "/:+@,"
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


def name_deployment(project: str, branch: str) -> str:
    """Return the preview's Deployment name: project and branch, readable, never shared by two branches.

    A project's name has no hyphen, so the first hyphen ends it.
    """
    return f"{project}-{slug_branch(branch, DEPLOYMENT_NAME_LENGTH_MAX - len(project) - 1)}"


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


def read_attempt(work: str, run_id: str) -> int:
    """Return the attempt whose run this is, 0 where it is another work's run."""
    name, _, attempt = run_id.rpartition("~")
    return int(attempt) if name == work and _COUNT.fullmatch(attempt) else 0


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
    """Return a Deployment's description: its own text, then our mark as one machine-readable tag.

    A tag in the text is left out: a template that `inspect` took from a preview has that preview's mark.
    """
    tag = _write_tag(
        {
            "control_plane": mark.control_plane,
            "project": mark.project,
            "repository": mark.repository,
            "branch": mark.branch,
            "template": mark.template,
        }
    )
    own = _TAG.sub("", text).replace(_TAG_START, "(deploy-ops/")
    return f"{own.strip()} {tag}".strip()


def parse_mark(description: str) -> Mark | None:
    """Return the ownership mark in a Deployment's description, or None if there is none of ours.

    People may write before and after it. Two marks are none: nobody knows which of them is meant. Keys that we do not
    know are a later release's, and change nothing about what the others say; a later version's mark is none of ours.
    """
    fields = _read_tag(description)
    names = Mark.__dataclass_fields__.keys()
    if fields is None or not fields.keys() >= names:
        return None
    return Mark(**{name: fields[name] for name in names})


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
    yes.
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
        """The part of the description by which this call's record is found; no text of a person's can hold it."""
        return f"{_TAG_START}1 run={quote(self.run_id, safe=_SAFE)} try={self.attempt} "


def format_note(note: DeployNote) -> str:
    """Return the deploy's description: a sentence for people, then a tag for us."""
    says = f"{note.what}, {note.how}" + (f" by {note.person}" if note.person else "")
    says += f", approved by {note.approver}" if note.approver else ""
    says += f": {note.reason}" if note.reason else ""
    says = _CONTROL.sub(" ", says.replace("[", "(").replace("]", ")"))
    fields = {"run": note.run_id, "try": str(note.attempt), "how": note.how, "head": note.head, "commit": note.commit}
    fields |= {"ref": note.ref, "by": note.person}
    fields |= {key: value for key, value in (("image", note.image), ("approved", note.approver)) if value}
    tag = _write_tag(fields)
    room = max(0, min(DESCRIPTION_TEXT_LENGTH_MAX, DESCRIPTION_LENGTH_MAX - len(tag) - 1))
    return f"{' '.join(says.split())[:room]} {tag}"


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
    )
