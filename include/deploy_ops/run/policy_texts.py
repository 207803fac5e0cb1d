"""The policy's files as texts: where a key stands in them, and what they would say with another text in one's place."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.policy.file import PolicyTexts, find_policy, read_policy_texts
from include.deploy_ops.core.policy.places import Outline, outline_file, tell_place
from include.deploy_ops.core.policy.reach import find_moved_keys
from include.deploy_ops.run.scope import Scope, make_scope

if TYPE_CHECKING:
    from include.deploy_ops.core.text.schema import Location

THE_TEXT = "the text"
"""What errors and places call what was typed in."""


@dataclass(frozen=True)
class Places:
    """Where keys of one project stand; looked up once something is asked."""

    project: str
    texts: PolicyTexts | None

    @functools.cached_property
    def outlines(self) -> tuple[Outline, ...]:
        """The outlines of the main file, and of those that may hold the project."""
        if self.texts is None:
            return ()
        own = (each for each in self.texts.teams if self.project in each.text)
        return tuple(outline_file(_call(each.source), each.text) for each in (self.texts.main, *own))

    def tell(self, key: Location) -> str:
        """Return the key with its file and line."""
        return tell_place(self.outlines, self.project, key)


def _call(source: str) -> str:
    """Return a file's name as seen from the folder above the policy's."""
    return source if source == THE_TEXT else os.path.relpath(source, find_policy(os.environ).parent.parent)


def read_places(project: str) -> Places:
    """Return where the project's keys stand now; nowhere while the policy's main file cannot be read."""
    try:
        return Places(project, read_policy_texts(find_policy(os.environ)))
    except PolicyError:
        return Places(project, None)


@dataclass(frozen=True, slots=True)
class Alternative:
    """A project as another text has it. `problems` is what is wrong with others there, a line each."""

    scope: Scope
    places: Places
    problems: str


def load_alternative(scope: Scope, text: str) -> Alternative:
    """Return the project as this text has it, in the place of the file in which it stands now.

    Nothing that the text names is read or imported. Raises PolicyError as for the policy itself, and where the text
    would read by other ways than today.
    """
    texts = read_policy_texts(find_policy(os.environ))
    name = scope.project.name
    home = texts.load().homes.get(name)
    if home is None:
        raise PolicyError(f"project {name} stands in no file of the policy that is valid now; mend that first")
    other = texts.put(home, text, THE_TEXT)
    loaded = other.load()
    problems = loaded.describe_problems()
    project = next((each for each in loaded.policy.projects if each.name == name), None)
    if project is None:
        raise PolicyError(
            problems or f"{THE_TEXT} has no project {name}; what has left the policy is told by `orphans`"
        )
    moved = [*(["control_plane"] if loaded.policy.control_plane != scope.control_plane else [])]
    moved += find_moved_keys(scope.project, project)
    if moved:
        raise PolicyError(
            f"{THE_TEXT}: project {name}: {', '.join(moved)}: not as in force; what would be read otherwise is asked of"
            " nobody here, so leave it as it stands in the policy"
        )
    return Alternative(make_scope(loaded, project), Places(name, other), problems)
