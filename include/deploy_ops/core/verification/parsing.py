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
- No file is parsed thrice before every other one was begun: one that was at work, or done within 30 s, when the queue
  was filled waits for the next filling. One parse may take 50 s at most.

So a file is *heard* once a parse of it ended that began after the deploy. What was deployed is parsed when each of its
files that Airflow knows, and each changed one, was heard or is *silent*: it said nothing in two full cycles, each of
them a parse of all that are heard, and in 110 s; from the deploy on, a new file from when it must be listed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from include.deploy_ops.core.verification.facts import TIMES, ImportFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.core.verification.facts import AirflowDag, AirflowFacts


LISTING = timedelta(seconds=300)
"""Airflow's default of `[dag_processor] refresh_interval`."""
PARSE_MAX = timedelta(seconds=50)
"""Airflow's default of `[dag_processor] dag_file_processor_timeout`."""
QUIET = PARSE_MAX + timedelta(seconds=60)
"""No file is silent sooner: the longest parse, and twice Airflow's default of `min_file_process_interval`."""
CYCLES = 2
"""Full cycles after which a file that says nothing has no DAG."""

_GRAIN = timedelta(seconds=1)
"""By how much times of one parse may differ."""
DATE_LAG = timedelta(seconds=2)
"""How old HTTP's Date may be, by which `since` is told: it has whole seconds, and uvicorn renews it once a second."""
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
    :param changed: those of them that differ from what was there before; on a Deployment that is new, all.
    """

    since: datetime
    files: frozenset[str]
    changed: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Voice:
    """What a file said since the deploy: when its newest parse ended, and the first one that began since then.

    `parses` counts from that one on. `told` is the look at which it spoke last.
    """

    at: datetime
    first: datetime | None
    parses: int
    told: _Moment


@dataclass(frozen=True, slots=True)
class _Moment:
    """A look's time, and how many full cycles were over then."""

    at: datetime
    cycles: int


@dataclass(frozen=True, slots=True)
class ParseWatch:
    """What was learnt from the looks so far; `look` returns the next one. Begin with `ParseWatch(deployed)`."""

    deployed: Deployed
    _now: _Moment | None = None
    _listed: _Moment | None = None  # when new files must have been listed
    _known: frozenset[str] = frozenset()  # to Airflow, at the first look, in whatever state
    _live: frozenset[str] = frozenset()  # now have a DAG or an error
    _voices: Mapping[str, _Voice] = field(default_factory=lambda: MappingProxyType({}))
    _marks: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))  # parses when the cycle began

    def look(self, facts: AirflowFacts) -> ParseWatch:
        """Return what is known with one more look, not older than the others."""
        deployed, ends = self.deployed, _find_ends(facts)
        live = deployed.files & ends.keys()
        now = _Moment(facts.at, self._now.cycles if self._now else 0)
        voices = dict(self._voices)
        for file in live:
            at, began = ends[file]
            if at > deployed.since:
                voices[file] = _hear(voices.get(file), at, now, is_new=began > deployed.since + DATE_LAG)
        marks = self._marks
        if all(file not in live or voices[file].parses > parses for file, parses in marks.items()):
            now = _Moment(facts.at, now.cycles + bool(marks.keys() & live))
            marks = {file: voices[file].parses for file in live & voices.keys() if voices[file].parses}
        is_listed = facts.at > deployed.since + LISTING + DATE_LAG
        return replace(
            self,
            _now=now,
            _listed=self._listed or (now if is_listed else None),
            _known=self._known if self._now else live | {each.file for each in facts.dags},
            _live=live,
            _voices=MappingProxyType(voices),
            _marks=MappingProxyType(marks),
        )

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
        return self._now is not None and not self.waiting

    def is_current(self, told: AirflowDag | ImportFault) -> bool:
        """Whether the deployed code gave this DAG or error."""
        voice = self._voices.get(told.file)
        at = told.at if isinstance(told, ImportFault) else told.parsed_at
        if voice is None or voice.first is None or at is None:
            return False
        return at >= voice.first - _GRAIN or _find_beginning(told) > self.deployed.since + DATE_LAG

    @property
    def _wanted(self) -> frozenset[str]:
        return self.deployed.changed | self._live if self._now else self.deployed.files

    def _is_overdue(self, file: str) -> bool:
        if self._now is None:
            return False
        if file in self._voices:
            began: _Moment | None = self._voices[file].told
        else:
            began = _Moment(self.deployed.since, 0) if file in self._known else self._listed
        if began is None or self._now.at < began.at + QUIET:
            return False
        return self._now.cycles > began.cycles + CYCLES or not self._live  # the first one had begun before


def _find_ends(facts: AirflowFacts) -> dict[str, tuple[datetime, datetime]]:
    """Return of each file that has a DAG or an error when its newest parse ended, and when it began at the earliest."""
    ends = [(each.file, each.parsed_at or TIMES[0], _find_beginning(each)) for each in facts.dags if not each.is_stale]
    ends += [(each.file, each.at, _find_beginning(each)) for each in facts.faults]
    return {file: (at, began) for file, at, began in sorted(ends)}


def _find_beginning(told: AirflowDag | ImportFault) -> datetime:
    """Return when the parse that gave this began at the earliest."""
    at = told.at if isinstance(told, ImportFault) else told.parsed_at
    seconds = None if isinstance(told, ImportFault) else told.parse_s
    return TIMES[0] if at is None else at - (PARSE_MAX if seconds is None else timedelta(seconds=seconds))


def _hear(voice: _Voice | None, at: datetime, now: _Moment, *, is_new: bool) -> _Voice:
    if voice is None:
        return _Voice(at, at if is_new else None, int(is_new), now)
    if at <= voice.at + _GRAIN:  # the DAGs of one parse have times of their own, which may come by different pages
        return voice
    return _Voice(at, voice.first or at, voice.parses + 1, now)


def choose_current(watch: ParseWatch, facts: AirflowFacts) -> AirflowFacts:
    """Return what of a look is of the deployed code: DAGs and faults that a parse since then gave."""
    dags = tuple(each for each in facts.dags if not each.is_stale and watch.is_current(each))
    return replace(facts, dags=dags, faults=tuple(each for each in facts.faults if watch.is_current(each)))
