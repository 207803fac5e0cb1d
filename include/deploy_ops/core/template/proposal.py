"""What to propose for trunk's template, now that production is as it is: two files, and field by field why. Pure.

The snapshot lies beside the template and says what production was like when its changes were last taken over. It is a
file, so that it is merged with them, whatever way of merging is chosen, and nothing is lost with Airflow's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from include.deploy_ops.core.errors import TemplateError
from include.deploy_ops.core.template.editing import edit_file, write_file
from include.deploy_ops.core.template.fields import VARIABLES, Fields, Gap, Path, find_field, has_shape, read_fields
from include.deploy_ops.core.template.merging import Difference, merge_fields
from include.deploy_ops.core.template.template import Template, parse_template
from include.deploy_ops.core.text.document import DocumentError, read_document

MAPPED = "mapped by the policy"


@dataclass(frozen=True, slots=True)
class Files:
    """A template's file and its snapshot's, as texts, None where there is none; `where` names their place in errors."""

    template_path: str
    template: str | None
    snapshot: str | None
    where: str

    @property
    def snapshot_path(self) -> str:
        """Where the snapshot lies."""
        return name_snapshot(self.template_path)


@dataclass(frozen=True, slots=True)
class Row:
    """A field in production, on trunk, and as previews get it after the merge, overrides and mapping included.

    `why`: what is wrong with trunk's template where production's value is laid on it; then it stays as it is.
    """

    path: Path
    production: Any
    trunk: Any
    previews: Any
    why: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What both files become, and why; nothing is to be done where production is as the snapshot has it.

    `laid`: what changes on trunk. `kept`: what stays there, though production has it differently. `empty`: variables
    without a value in previews until somebody gives them one. `is_first`: there is no template yet. `is_blind`: there
    is one, and no snapshot, so that nobody knows who changed what. `obstacle`: why the policy as it is lets no preview
    be made of a first template; then nobody knows what previews get.
    """

    deployment: str
    template_path: str
    snapshot_path: str
    template: str
    snapshot: str
    laid: tuple[Row, ...] = ()
    kept: tuple[Row, ...] = ()
    empty: tuple[str, ...] = ()
    is_needed: bool = True
    is_first: bool = False
    is_blind: bool = False
    obstacle: str = ""

    @property
    def texts(self) -> dict[str, str]:
        """The files by their paths."""
        return {self.template_path: self.template, self.snapshot_path: self.snapshot}


def name_snapshot(template_path: str) -> str:
    """Return where a template's snapshot lies: beside it, `preview.snapshot.yaml` for `preview.yaml`."""
    return str(PurePosixPath(template_path).with_suffix(".snapshot.yaml"))


def make_proposal(
    document: Mapping[str, Any],
    deployment: str,
    files: Files,
    settle: Callable[[str], Template],
    copied: Collection[str] = (),
) -> Proposal:
    """Return what to propose.

    :param document: production's normal form.
    :param settle: a template's text → the template that previews are made of.
    :param copied: keys of the variables whose values production's normal form has.
    :raises TemplateError: a file cannot be read or edited, or the result would make no preview; says why. Of a first
        template: it is none, whatever the policy says.
    """
    before = _read_snapshot(files)
    document = _keep_values(document, before, copied)
    production = read_fields(document)
    snapshot = write_file(document, _head_snapshot(deployment))
    if files.template is None:
        return _propose_first(document, deployment, files, snapshot, settle)
    parse_template(files.template, files.where)
    trunk = read_fields(read_document(files.template))
    merge = merge_fields(before, production, trunk)
    fit = _lay_fitting(files.template, files.where, merge.laid, settle)
    return Proposal(
        deployment,
        files.template_path,
        files.snapshot_path,
        fit.text,
        snapshot,
        _make_rows(fit.laid, fit.settled),
        (*_make_rows(merge.kept, fit.settled), *_make_unfit_rows(fit)),
        _list_empty(fit.laid, fit.settled),
        is_needed=before != production,
        is_blind=before is None,
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """What can be laid on trunk's template so that previews can be made of it; `unfit` cannot, each with the reason."""

    text: str
    settled: Template
    laid: tuple[Difference, ...]
    unfit: tuple[tuple[Difference, str], ...] = ()


def _lay_fitting(trunk: str, where: str, laid: tuple[Difference, ...], settle: Callable[[str], Template]) -> _Fit:
    """Lay all of it; where that contradicts what trunk keeps, all that does not.

    :raises TemplateError: the file cannot be edited, or nothing can be made of trunk's own text either.
    """
    text = edit_file(trunk, where, laid)
    try:
        return _Fit(text, settle(text), laid)
    except TemplateError:
        return _fit_each(_Fit(trunk, settle(trunk), ()), trunk, where, laid, settle)


def _fit_each(
    fit: _Fit, trunk: str, where: str, found: Iterable[Difference], settle: Callable[[str], Template]
) -> _Fit:
    """Lay one after the other, and again as long as something fits: one may need another that comes after it."""
    unfit: list[tuple[Difference, str]] = []
    for each in found:
        laid = (*fit.laid, each)
        try:
            text = edit_file(trunk, where, laid)
            fit = _Fit(text, settle(text), laid, fit.unfit)
        except TemplateError as error:
            unfit.append((each, _tell(error, where)))
    if not unfit or len(unfit) == len(fit.unfit):
        return replace(fit, unfit=tuple(unfit))
    return _fit_each(replace(fit, unfit=tuple(unfit)), trunk, where, [each for each, _ in unfit], settle)


def _make_unfit_rows(fit: _Fit) -> Iterable[Row]:
    for each, why in fit.unfit:
        yield Row(each.path, each.production, each.trunk, _find_settled(each.path, fit.settled), why)


def _propose_first(
    document: Mapping[str, Any], deployment: str, files: Files, snapshot: str, settle: Callable[[str], Template]
) -> Proposal:
    text = write_file(document, _head_template(deployment))
    settled, obstacle = _settle_first(text, files.where, settle)
    nothing: Fields = {part: {} for part in read_fields(document)}
    laid = merge_fields(nothing, read_fields(document), nothing).laid
    rows, empty = _make_rows(laid, settled), _list_empty(laid, settled)
    if obstacle:
        rows = tuple(replace(each, previews=Gap.ABSENT) for each in rows)
    return Proposal(
        deployment,
        files.template_path,
        files.snapshot_path,
        text,
        snapshot,
        rows,
        empty=empty,
        is_first=True,
        obstacle=obstacle,
    )


def _settle_first(text: str, where: str, settle: Callable[[str], Template]) -> tuple[Template, str]:
    """Return the template that a first one makes, and why the policy's part does not fit it; empty where it does.

    It harms nobody: without a template there are no previews either, and the policy is edited in another place.
    """
    try:
        return settle(text), ""
    except TemplateError as error:
        return parse_template(text, where), _tell(error, where)


def _tell(error: TemplateError, where: str) -> str:
    """Return the first line of what is wrong, without the place."""
    return str(error).split("\n", 1)[0].removeprefix(where).lstrip(": ")


def _keep_values(document: Mapping[str, Any], before: Fields | None, copied: Collection[str]) -> Mapping[str, Any]:
    """Return production with the values that the snapshot has and the policy lets nobody copy any more.

    That these are empty now says nothing of production.
    """
    known = {} if before is None else before[VARIABLES]
    deployment = document["deployment"]
    variables = [
        {**each, "value": known[each["key"]]["value"]}
        if each["key"] in known and each["key"] not in copied and not each["is_secret"]
        else each
        for each in deployment.get(VARIABLES, ())
    ]
    return {"deployment": {**deployment, VARIABLES: variables}} if variables else document


def _read_snapshot(files: Files) -> Fields | None:
    if files.snapshot is None:
        return None
    place = f"{files.snapshot_path} beside {files.where}"
    try:
        document = read_document(files.snapshot)
    except DocumentError as error:
        raise TemplateError(f"{place}: {error}; nobody needs to edit it: take it from an older commit") from None
    if not has_shape(document):
        raise TemplateError(f"{place}: it is no Deployment file; nobody needs to edit it: take it from an older commit")
    # Its values are Astro's, and may be such as no template can have: nothing is made of it.
    return read_fields(document)


def _make_rows(found: Iterable[Difference], settled: Template) -> tuple[Row, ...]:
    return tuple(Row(each.path, each.production, each.trunk, _find_settled(each.path, settled)) for each in found)


def _find_settled(path: Path, settled: Template) -> Any:
    if path[0] == VARIABLES and path[1] in {each.key for each in settled.mapped}:
        return MAPPED
    return find_field(read_fields({"deployment": settled.body}), path)


def _list_empty(found: Iterable[Difference], settled: Template) -> tuple[str, ...]:
    variables = [each.path for each in found if each.path[0] == VARIABLES and each.production is not Gap.ABSENT]
    rendered = [(path[1], _find_settled(path, settled)) for path in variables]
    return tuple(key for key, value in rendered if isinstance(value, Mapping) and not value["value"])


def _head_template(deployment: str) -> tuple[str, ...]:
    return (
        f"What previews are like, made of the Deployment {_write_name(deployment)} by Deploy Ops. Edit it as you like:",
        "what you change stays, and what changes there is proposed by a pull request.",
    )


def _head_snapshot(deployment: str) -> tuple[str, ...]:
    return (
        f"What the Deployment {_write_name(deployment)} was like when its changes were last taken over into the",
        "template beside this file. Written by Deploy Ops, and nobody needs to edit it.",
    )


def _write_name(deployment: str) -> str:
    return " ".join(each for each in deployment.split() if each.isprintable())
