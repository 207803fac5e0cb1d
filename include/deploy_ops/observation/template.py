"""The project's Deployment templates as they stand on trunk; the previews' with the policy's overrides and mapping."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from include.deploy_ops.core.errors import SealError, TemplateError
from include.deploy_ops.core.naming import slug_target
from include.deploy_ops.core.template.mapping import lay_mapping
from include.deploy_ops.core.template.template import Template, merge_overrides, parse_template
from include.deploy_ops.run.memory import CachedTemplate
from include.deploy_ops.run.seals import WORK, Place

if TYPE_CHECKING:
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope
    from include.deploy_ops.run.seals import Seals
    from include.deploy_ops.run.store import Slot

KEPT_MAX = 40_000
"""Bytes, as JSON, of a template that is kept: values of Airflow's store stay below 48 KiB."""

log = logging.getLogger(__name__)
_KEPT = TypeAdapter(CachedTemplate)


@dataclass(frozen=True, slots=True)
class TemplateReader:
    """Reads the template's text once for each head of trunk, and keeps it for later passes and for runs.

    It lies where others may write, and Deployments are made of it: so it is sealed, and read again where it is not
    what one of our tasks kept.

    :param target: the target whose template it is; empty: the previews'.
    """

    scope: Scope
    github: DeployOpsGithubHook
    memory: Memory
    seals: Seals
    target: str = ""

    @property
    def path(self) -> str:
        """Where the template lies, from the repository's top."""
        return find_path(self.scope, self.target)

    def find_trunk(self) -> str:
        """Return trunk's head as it is now; while it is where it was, asking for that costs no quota."""
        trunk, kept = self.scope.project.trunk, self._recall()
        self.github.remember(kept.answers if kept is not None else ())
        head = self.github.get_branch(trunk).head
        answers = self.github.hand_on(trunk, head)
        if kept is not None and kept.commit == head and kept.answers != answers:
            self._keep(replace(kept, answers=answers))
        return head

    def read_text(self, trunk_head: str) -> str:
        """Return the template's text at trunk's head. Raises TemplateError when there is no such file."""
        kept = self._recall()
        if kept is not None and (kept.commit, kept.path) == (trunk_head, self.path):
            return kept.text
        text = read_template_text(self.scope, self.github, trunk_head, self.target)
        answers = () if self.target else self.github.hand_on(self.scope.project.trunk, trunk_head)
        self._keep(CachedTemplate(trunk_head, self.path, text, answers))
        return text

    def recall_text(self, trunk_head: str) -> str | None:
        """Return the same without asking anybody; None where it is not kept."""
        path, kept = self.scope.previews.template, self._recall()
        return kept.text if kept is not None and (kept.commit, kept.path) == (trunk_head, path) else None

    def _recall(self) -> CachedTemplate | None:
        kept = self._slot.read()
        try:
            if kept is not None:
                self.seals.check(WORK, self._place, _dump(kept), kept.seal)
        except SealError as error:
            log.info("the template is read anew: %s", error)
            return None
        return kept

    def _keep(self, template: CachedTemplate) -> None:
        if len(json.dumps(template.text)) <= KEPT_MAX:  # a longer one is read each time
            seal = self.seals.make(WORK, self._place, _dump(template))
            self._slot.write(replace(template, seal=seal))

    @property
    def _slot(self) -> Slot[CachedTemplate]:
        return self.memory.target_template(slug_target(self.target)) if self.target else self.memory.template

    @property
    def _place(self) -> Place:
        return Place(self.scope.control_dag, "", f"template {self.target}".rstrip())


def _dump(template: CachedTemplate) -> Any:
    # Without what equals its default: a field that a later release adds must not break what is sealed already.
    return _KEPT.dump_python(replace(template, seal=""), mode="json", exclude_defaults=True)


def read_template(scope: Scope, github: DeployOpsGithubHook, trunk_head: str) -> Template:
    """Return the template at trunk's head. Raises TemplateError, naming file and field, when it cannot be used."""
    return parse_template_text(scope, read_template_text(scope, github, trunk_head))


def find_path(scope: Scope, target: str = "") -> str:
    """Return where the previews' template lies, or the target's, from the repository's top."""
    return (scope.target(target).template or "") if target else scope.previews.template


def read_template_text(scope: Scope, github: DeployOpsGithubHook, trunk_head: str, target: str = "") -> str:
    """Return the template's text at trunk's head. Raises TemplateError when there is no such file.

    :param target: the target whose template it is; empty: the previews'.
    """
    text = github.read_file(find_path(scope, target), trunk_head)
    if text is None:
        key = f"targets.{target}.template" if target else "previews.template"
        way = "" if target else f", have {scope.template_dag} propose one by previews.template_from"
        raise TemplateError(
            f"{name_source(scope, target)}: there is no such file; write one with 'astro deployment inspect "
            f"<production> --template'{way}, or correct {key} in the policy"
        )
    return text


def parse_template_text(scope: Scope, text: str) -> Template:
    """Return the template that the text says. Raises TemplateError, naming file and field, when it cannot be used."""
    merged = merge_overrides(parse_template(text, name_source(scope)), scope.previews.overrides)
    return lay_mapping(merged, scope.previews.environment.mapped)


def name_source(scope: Scope, target: str = "") -> str:
    """Return what the previews' template, or the target's, is called in errors."""
    return f"{scope.project.repository}/{find_path(scope, target)} on {scope.project.trunk}"
