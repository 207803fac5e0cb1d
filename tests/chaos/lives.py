"""Lives as data: steps drawn from a seed, played one after the other, and told so that they can be played again."""

from __future__ import annotations

import contextlib
import random
import ssl
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from airflow.providers.standard.operators import hitl

from include.deploy_ops.hooks import conversation
from include.deploy_ops.hooks.astro.api import AstroApiHook
from include.deploy_ops.hooks.github import http as github_http
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from include.deploy_ops.operators.feedback.writer import FeedbackWriter
from tests.chaos import people, rest, troubles
from tests.chaos.storm import Storm
from tests.worlds.doubles.fuse import Fuse
from tests.worlds.stages.cleanup import OrphansStage
from tests.worlds.stages.fixtures import POLICY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.worlds.stages.stage import Stage

LIFE = 500
"""Steps of a life before it comes to rest."""
TROUBLED = 0.25
"""Of passes and tasks, in how many trouble is drawn."""
AFTERMATHS = ("retry", "failed", "lost")
SLOW_S = 0.5
"""After how long a call gives up here."""


@dataclass(frozen=True)
class Step:
    """One thing that happens: which, to which of what there is, the trouble meanwhile, and what comes of that."""

    deed: str
    pick: int
    trouble: int = 0
    aftermath: int = 0

    def __str__(self) -> str:
        return f"{self.deed} {self.pick} {self.trouble} {self.aftermath}"

    @classmethod
    def read(cls, line: str) -> Step:
        """Read what `str` wrote. :raises ValueError: it is no step."""
        try:
            deed, *numbers = line.split()
            step = cls(deed, *map(int, numbers))
        except (ValueError, TypeError) as error:
            raise ValueError(f"no step: {line!r}; a step is a deed and up to three numbers, as `push 3`") from error
        if deed not in DEEDS:
            raise ValueError(f"no step: {line!r}; the deeds are {', '.join(sorted(DEEDS))}")
        return step


def _plan(storm: Storm, step: Step) -> None:
    """Make a pass of control, of whose runs perhaps only some are started."""
    storm.plan(troubles.choose(storm, step.trouble), (99, 99, 99, 1, 0)[step.pick % 5] if step.trouble else 99)


def _play_task(storm: Storm, step: Step) -> None:
    """Let one of the runs in flight play its next task."""
    storm.stumble_once(step.pick, troubles.choose(storm, step.trouble), AFTERMATHS[step.aftermath % 3])


def _live_on(storm: Storm, _step: Step) -> None:
    """Let control make an undisturbed pass, and all runs land."""
    storm.live_on()


def _do(deed: Callable[[Storm, int], None]) -> Callable[[Storm, Step], None]:
    return lambda storm, step: deed(storm, step.pick)


WEIGHTS: dict[Callable[[Storm, int], None], int] = {
    people.push: 8,
    people.force_push: 2,
    people.delete: 2,
    people.remake: 2,
    people.push_into: 1,
    people.push_trunk: 1,
    people.push_stray: 1,
    people.edit_template: 1,
    people.break_template: 1,
    people.open_pull: 5,
    people.open_release: 3,
    people.merge: 3,
    people.draft: 1,
    people.close: 1,
    people.retarget: 1,
    people.speak: 3,
    people.force_preview: 3,
    people.force_target: 2,
    people.resume_target: 2,
    people.promote: 1,
    people.adopt: 1,
    people.answer: 5,
    people.exclude: 1,
    people.choose_when: 1,
    people.override: 1,
    people.ignore: 1,
    people.change_approvers: 1,
    people.change_gates: 2,
    people.change_merging: 1,
    people.change_branch: 1,
    people.rename: 1,
    people.spell: 1,
    people.pause: 2,
    people.stay_dry: 1,
    people.break_ci: 1,
    people.deploy_by_hand: 2,
    people.delete_by_hand: 1,
    people.edit_by_hand: 1,
    troubles.forget: 1,
    troubles.purge: 1,
    troubles.back_up: 2,
    troubles.restore: 1,
    troubles.read_stale: 1,
    troubles.read_unhealthy: 1,
    troubles.read_failed: 1,
    troubles.pass_time: 3,
    troubles.expire: 1,
    troubles.skew: 1,
    troubles.upgrade: 1,
}
DEEDS: dict[str, Callable[[Storm, Step], None]] = {
    **{deed.__name__: _do(deed) for deed in WEIGHTS},
    "plan": _plan,
    "task": _play_task,
    "live_on": _live_on,
}
SHARES = {**{deed.__name__: weight for deed, weight in WEIGHTS.items()}, "plan": 35, "task": 120, "live_on": 3}


def draw(seed: int, life: int, length: int) -> list[Step]:
    """Return the steps of a life; the same for the same numbers, whatever other lives were drawn."""
    chance = random.Random(f"{seed}.{life}")  # noqa: S311 - draws a test, no secret
    names, shares = list(SHARES), list(SHARES.values())
    return [_draw_step(chance, name) for name in chance.choices(names, shares, k=length)]


def _draw_step(chance: random.Random, name: str) -> Step:
    is_troubled = name in {"plan", "task"} and chance.random() < TROUBLED
    return Step(name, chance.randrange(420), chance.randrange(480) if is_troubled else 0, chance.randrange(3))


@dataclass(frozen=True)
class Failure:
    """How a life ended: after how many of its steps (all of them: at rest), where in the code, and with which words."""

    steps: int
    place: str
    said: str


class Theatre:
    """Where lives are played, one after the other, each on a stage that is set anew."""

    def __init__(self, stage: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stage = stage
        policy = POLICY.format(host=stage.sandbox.host)
        self.orphans = OrphansStage.open(stage, policy, folder / "policy.yaml", monkeypatch)
        self.fuse = Fuse(monkeypatch)
        self.asked: dict[str, object] = {}
        monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **detail: self.asked.update(detail))
        _hurry(monkeypatch)

    def play(self, steps: Sequence[Step]) -> Failure | None:
        """Play a life, and let it come to rest; return how it failed, None if all was well."""
        done = 0
        try:
            storm = Storm(self.stage, self.fuse, self.asked, self.orphans)
            storm.begin()
            for step in steps:
                DEEDS[step.deed](storm, step)
                done += 1
            rest.end_storm(storm)
            rest.come_to_rest(storm)
            rest.check_named(storm)
            rest.mend(storm)
            rest.come_to_rest(storm)
            rest.check_equal(storm)
        except Exception as error:  # noqa: BLE001 - any is how the life failed
            return Failure(done, _find_place(error), "".join(traceback.format_exception(error)))
        return None


def _find_place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}: {frame.line}"


def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no service longer than one that hangs here, make none of its pauses, trust nobody by TLS."""
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)
    monkeypatch.setattr(github_http, "REQUEST_TIMEOUT_S", SLOW_S)
    monkeypatch.setattr(conversation, "_READ_TIMEOUT_S", SLOW_S)
    monkeypatch.setattr(conversation.hold, "__defaults__", (lambda _: None,))
    for hook in (DeployOpsGithubHook, AstroApiHook):
        known = hook.__init__.__kwdefaults__ or {}
        monkeypatch.setattr(hook.__init__, "__kwdefaults__", known | {"sleep": lambda _: None})
    monkeypatch.setattr(FeedbackWriter.__init__, "__defaults__", (*_defaults(), lambda _: None))


def _defaults() -> tuple[object, ...]:
    return tuple(FeedbackWriter.__init__.__defaults__ or ())[:-1]


@contextlib.contextmanager
def open_theatre(stage: Stage, folder: Path) -> Iterator[Theatre]:
    """Yield a theatre on the stage.

    :param folder: for the policy's file.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Theatre(stage, folder, monkeypatch)
