"""What was rendered, against what Astro tells of the Deployment: the fields that differ, one by one. Pure.

What the template leaves open is Astro's to choose, and what Astro does not tell is not known: neither is a difference.
So it is with variables and alert addresses that the template does not have: a person may add some.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.template.rules import name_deployment_type
from include.deploy_ops.core.template.settings import (
    CONFIGURATION,
    EMAILS,
    QUEUE,
    RUNTIME,
    SCHEDULE,
    VARIABLE,
    Rule,
    find_value,
)
from include.deploy_ops.core.text.markdown import cut, flatten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

VALUE_LENGTH_MAX = 60
"""Characters of a value that are shown."""
FIELD_LENGTH_MAX = 100
"""Characters of a field's name that are shown: a variable's or a queue's may be long."""

_ABSENT, _PRESENT = "missing", "present"


class Fate(Enum):
    """What becomes of a difference, in words for people."""

    REPORTED = "reported"
    DUE = "to be repaired"
    KEPT = "repaired before, and so again: Astro keeps it, or somebody set it again; refresh by the form repairs it"
    FIXED = "reported: an update does not change it"


@dataclass(frozen=True, slots=True)
class Drift:
    """A field, by its name in the template, in which a Deployment differs from what was rendered for it.

    `found` is Astro's value and `wanted` the template's, as texts; where `is_private` they are for nobody's eyes.
    `seal` tells this difference from any other one of the same Deployment (empty where nobody asks).
    """

    name: str
    found: str = field(repr=False)
    wanted: str = field(repr=False)
    is_private: bool = False
    fate: Fate = Fate.REPORTED
    seal: str = ""

    @property
    def shown(self) -> tuple[str, str, str]:
        """The field, what Astro has and what the template has, as people may see them."""
        name = cut(flatten(self.name), FIELD_LENGTH_MAX)
        if self.is_private:
            return name, "another value", "not shown"
        return name, cut(flatten(self.found), VALUE_LENGTH_MAX), cut(flatten(self.wanted), VALUE_LENGTH_MAX)

    def __str__(self) -> str:
        name, found, wanted = self.shown
        if self.fate is Fate.KEPT:
            return f"{name}: Astro keeps {found}" + ("" if self.is_private else f", {wanted} here")
        return f"{name} differs" if self.is_private else f"{name} {found} in Astro, {wanted} here"


@dataclass(frozen=True, slots=True)
class Drifted:
    """An environment, by slug and as people call it, and where its Deployment differs."""

    slug: str
    environment: str
    found: tuple[Drift, ...]


def find_drift(body: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[Drift, ...]:
    """Return where a Deployment differs from what was rendered, in a fixed order.

    :param body: what stands below `deployment` of a rendered file, in a template's normal form.
    :param settings: what Astro tells (`settings.read_settings`).
    """
    return (
        *_compare_configuration(body.get("configuration", {}), settings.get("configuration", {})),
        *_compare_queues(body.get("worker_queues", ()), settings.get("worker_queues")),
        *_compare_schedules(body.get("hibernation_schedules", ()), settings.get("hibernation_schedules")),
        *_compare_emails(body.get(EMAILS[0], ()), settings.get(EMAILS[0])),
        *_compare_variables(body.get("environment_variables", ()), settings.get("environment_variables")),
    )


def describe_drift(found: Sequence[Drift], shown_max: int) -> tuple[str, ...]:
    """Return the first differences as texts, and how many there are besides."""
    more = len(found) - shown_max
    return (*map(str, found[:shown_max]), *([f"and {more} more"] if more > 0 else []))


def _compare_configuration(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Drift]:
    kind = name_deployment_type(wanted)
    rules = [rule for rule in CONFIGURATION if not rule.types or kind in rule.types]
    return _compare_rules(rules, wanted, found)


def _compare_rules(
    rules: Iterable[Rule], wanted: Mapping[str, Any], found: Mapping[str, Any], prefix: str = ""
) -> Iterator[Drift]:
    for rule in rules:
        here, there = find_value(wanted, rule.key), find_value(found, rule.key)
        if rule.is_unset(here) or there is None or there == "" or not _differs(rule, here, there):
            continue
        fate = Fate.FIXED if rule.is_fixed else Fate.REPORTED
        yield Drift(f"{prefix}{rule.key}", _write(there), _write(here), rule.is_private, fate)


def _differs(rule: Rule, here: Any, there: Any) -> bool:
    if here == there:  # as most are
        return False
    wanted, found = rule.normalise(here), rule.normalise(there)
    return bool(wanted > found if rule.key == RUNTIME else wanted != found)


def _write(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(sorted(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _compare_queues(wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]] | None) -> Iterator[Drift]:
    """Compare the queues by name; where the template has none they are Astro's affair."""
    if not wanted or found is None:
        return
    here, there = ({str(each.get("name")): each for each in queues} for queues in (wanted, found))
    for name in sorted(here.keys() | there.keys()):
        prefix = f"worker_queues.{name}"
        if name in here and name in there:
            yield from _compare_rules(QUEUE, here[name], there[name], f"{prefix}.")
        else:
            yield Drift(prefix, *((_PRESENT, _ABSENT) if name in there else (_ABSENT, _PRESENT)))


def _compare_schedules(
    wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]] | None
) -> Iterator[Drift]:
    if not wanted or found is None:
        return
    here, there = (Counter(map(_read_schedule, each)) for each in (wanted, found))
    if here != there:
        yield Drift("hibernation_schedules", _write_schedules(there), _write_schedules(here))


def _read_schedule(schedule: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a schedule as it is compared; the CLI sends one as switched off unless it says otherwise."""
    values = ((rule, schedule.get(rule.key)) for rule in SCHEDULE)
    return tuple(str(rule.normalise(value) if value is not None else rule.kind()) for rule, value in values)


def _write_schedules(schedules: Counter[tuple[str, ...]]) -> str:
    told = [f"{asleep} to {awake}{'' if on == 'True' else ' (off)'}" for asleep, awake, on, _ in schedules.elements()]
    return ", ".join(sorted(told)) or "none"


def _compare_emails(wanted: Sequence[str], found: Sequence[str] | None) -> Iterator[Drift]:
    """Tell that addresses are missing, and not which: what is shown holds none."""
    if found is None:
        return
    there = {each.casefold() for each in found}
    missing = [each for each in wanted if each.casefold() not in there]
    if missing:
        yield Drift(EMAILS[0], _write(found), _write(missing), is_private=True)


def _compare_variables(
    wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]] | None
) -> Iterator[Drift]:
    """Compare variables by key, and plain ones by value; a secret's value is known to nobody."""
    if found is None:
        return
    there = {each.get("key"): each for each in found}
    for here in wanted:
        prefix = f"environment_variables.{here['key']}"
        if here["key"] not in there:
            yield Drift(prefix, _ABSENT, _PRESENT)
            continue
        for each in _compare_variable(here, there[here["key"]]):
            yield Drift(prefix, each.found, each.wanted, each.is_private)


def _compare_variable(here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[Drift]:
    secret, value = VARIABLE
    kinds = here.get(secret.key), there.get(secret.key)
    if kinds[1] is not None and bool(kinds[0]) != kinds[1]:
        wanted, found = ("secret" if is_secret else "plain" for is_secret in kinds)
        yield Drift("", found, wanted)
    elif kinds[1] is False and (there.get(value.key) or "") != (here.get(value.key) or ""):
        yield Drift("", there.get(value.key) or "", here.get(value.key) or "", is_private=True)
