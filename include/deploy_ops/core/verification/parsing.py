"""Whether a Deployment's Airflow has parsed what was deployed to it, by what it tells from look to look. Pure.

Seen on Airflow 3.3.2 with a real dag-processor and its defaults:

- A file is parsed every 30 s. Success moves `last_parsed_time` of each DAG in it, failure the timestamp of its import
  error, an unchanged one's, too. Both tell the parse's end. Its beginning is known from `last_parse_duration`, which
  errors do not have; a parse that began before the deploy may end after it, and tells of the old code.
- A file that breaks has its error, and its DAGs are stale, from the same parse on; one that is mended likewise.
- Files are listed anew every 300 s (`refresh_interval`). Until then a new file says nothing (seen: 258 s), and a
  removed one's DAGs stay as they were, not stale, while their time stands still.
- A DAG that is gone from its file stays, not stale, for 50 to 110 s (seen: 75 s), and its time stands still.
- A file without DAG says nothing, ever. One without the words "airflow" and "dag" or "asset" is not even parsed.
- No file is parsed twice before every other one was begun; one parse may take 50 s at most.

So a file is *heard* once a parse of it ended that began after the deploy. What was deployed is parsed when each of its
files that Airflow knows, and each changed one, was heard or is *silent*: all that are heard were parsed twice more
since it should have been, and it was not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.core.verification.facts import AirflowFacts

LISTING = timedelta(seconds=300)
"""Airflow's default of `[dag_processor] refresh_interval`."""
PARSE_MAX = timedelta(seconds=50)
"""Airflow's default of `[dag_processor] dag_file_processor_timeout`."""
CYCLE = timedelta(seconds=60)
"""Taken for a cycle where nothing is ever heard: twice Airflow's default of `min_file_process_interval`."""
CYCLES = 2
"""Full cycles after which a file that says nothing has no DAG."""

_GRAIN = timedelta(seconds=1)
"""HTTP's Date, by which `since` is told, has whole seconds."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_WORDS = (b"dag", b"asset")


def is_candidate(content: bytes) -> bool:
    """Whether Airflow parses a Python file at all, by its words: its heuristic, unless a Deployment chose another."""
    lowered = content.lower()
    return b"airflow" in lowered and any(word in lowered for word in _WORDS)


@dataclass(frozen=True, slots=True)
class Deployed:
    """What should be parsed.

    :param since: by the Deployment's clock, when what was deployed was current there: `at` of the first look after
        Astro said so.
    :param files: below the DAG folder, every one of the commit that Airflow may parse.
    :param changed: those of them that differ from what was there before.
    """

    since: datetime
    files: frozenset[str]
    changed: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Voice:
    """The newest end of a parse that is known of a file, and how many parses are known to have begun since then."""

    at: datetime
    parses: int


@dataclass(frozen=True, slots=True)
class ParseWatch:
    """What was learnt from the looks so far; `look` returns the next one. Begin with `ParseWatch(deployed)`."""

    deployed: Deployed
    at: datetime | None = None
    _known: frozenset[str] = frozenset()  # to Airflow, at the first look, in whatever state
    _live: frozenset[str] = frozenset()  # now have a DAG or an error
    _voices: Mapping[str, _Voice] = field(default_factory=lambda: MappingProxyType({}))
    _listed: Mapping[str, int] | None = None  # parses of each file when the new files were listed

    def look(self, facts: AirflowFacts) -> ParseWatch:
        """Return what is known with one more look, not older than the others."""
        deployed, ends = self.deployed, _find_ends(facts)
        live = deployed.files & ends.keys()
        known = self._known if self.at else live | {each.file for each in facts.dags}
        voices = dict(self._voices)
        for file in live:
            at, began = ends[file]
            if at > deployed.since:
                voices[file] = _hear(voices.get(file), at, is_new=began > deployed.since + _GRAIN)
        listed = self._listed
        if listed is None and self._is_listed(facts.at, known, voices):
            listed = MappingProxyType({file: voice.parses for file, voice in voices.items()})
        return replace(self, at=facts.at, _known=known, _live=live, _voices=MappingProxyType(voices), _listed=listed)

    def _is_listed(self, at: datetime, known: frozenset[str], voices: Mapping[str, _Voice]) -> bool:
        """Whether Airflow has listed the files since the deploy: its interval is over, or it has one that is new."""
        return at >= self.deployed.since + LISTING + _GRAIN or bool((voices.keys() & self.deployed.changed) - known)

    @property
    def heard(self) -> frozenset[str]:
        """Files that were parsed since the deploy."""
        return frozenset(file for file, voice in self._voices.items() if voice.parses)

    @property
    def silent(self) -> frozenset[str]:
        """Files that say nothing, and would have by now: they have no DAG any more, or never had."""
        return frozenset(file for file in self._wanted - self.heard if self._is_overdue(file))

    @property
    def waiting(self) -> tuple[str, ...]:
        """Files whose parse is awaited, in order; all of them before the first look."""
        return tuple(sorted(self._wanted - self.heard - self.silent))

    @property
    def is_done(self) -> bool:
        """Whether all that was deployed is parsed; faults and DAGs of `choose_current` are its own then."""
        return self.at is not None and not self.waiting

    @property
    def _wanted(self) -> frozenset[str]:
        return self.deployed.changed | self._live if self.at else self.deployed.files

    def _is_overdue(self, file: str) -> bool:
        is_new = file not in self._known
        if is_new and self._listed is None:
            return False
        before = (self._listed or {}) if is_new else {}
        rounds = [self._voices[each].parses - before.get(each, 0) for each in self.heard & self._live]
        if rounds:
            return min(rounds) >= CYCLES + (not is_new)  # of the first, its own parse may have begun before the deploy
        return not self._live and self.at is not None and self.at >= self.deployed.since + LISTING + CYCLES * CYCLE


def _find_ends(facts: AirflowFacts) -> dict[str, tuple[datetime, datetime]]:
    """Return of each file that has a DAG or an error when its newest parse ended, and when it began at the earliest."""
    ends = [
        (each.file, each.parsed_at or _NEVER, PARSE_MAX if each.parse_s is None else timedelta(seconds=each.parse_s))
        for each in facts.dags
        if not each.is_stale
    ]
    ends += [(each.file, each.at, PARSE_MAX) for each in facts.faults]
    return {file: (at, max(at, _NEVER + took) - took) for file, at, took in sorted(ends)}


def _hear(voice: _Voice | None, at: datetime, *, is_new: bool) -> _Voice:
    if voice is None:
        return _Voice(at, int(is_new))
    # The DAGs of one parse have times of their own, which may come by different pages.
    return _Voice(at, voice.parses + 1) if at > voice.at + _GRAIN else voice


def choose_current(watch: ParseWatch, facts: AirflowFacts) -> AirflowFacts:
    """Return what of a look is of the deployed code: DAGs and faults that a parse since then gave."""
    deployed = watch.deployed

    def is_current(file: str, at: datetime | None) -> bool:
        return file in watch.heard and at is not None and at > deployed.since

    dags = tuple(each for each in facts.dags if not each.is_stale and is_current(each.file, each.parsed_at))
    return replace(facts, dags=dags, faults=tuple(each for each in facts.faults if is_current(each.file, each.at)))
