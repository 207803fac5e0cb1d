"""A template against what Astro offers: machines, queue sizes, executors, runtime versions.

The answer is fetched elsewhere. The CLI checks only some of this, and names another cause when a machine is unknown.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from include.deploy_ops.core.errors import ObservationError, RetryableError, TemplateError
from include.deploy_ops.core.template.rules import is_airflow_3_runtime, name_deployment_type, name_executor
from include.deploy_ops.core.text.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from include.deploy_ops.core.template.template import Template

_SHOWN_MAX = 8
_RUNTIME = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}[.-][0-9]{1,6}")


class _Range(NamedTuple):
    floor: float
    ceiling: float


def check_against_options(template: Template, options: Mapping[str, Any], *, is_update: bool = False) -> None:
    """Check the template against Astro's answer to `GET …/deployment-options` for its type and cloud.

    An update does not send the runtime version, which may be one that Astro has ceased to offer. Raises TemplateError
    with key, value and what is known; RetryableError where nothing is wrong but a runtime that is newer than what Astro
    offers, for it may come; ObservationError where the answer lacks what has to be compared.
    """
    problems = list(_check_configuration(template.configuration, options, is_update=is_update))
    if name_deployment_type(template.configuration) != "HYBRID":  # its queues name node pools, not machines
        problems += _check_queues(template.body.get("worker_queues", ()), options)
    if problems:
        told = "\n".join(f"{template.source}: {each.move_below('deployment')}" for each in problems)
        is_early = len(problems) == 1 and not is_update and _is_runtime_to_come(template.configuration, options)
        raise RetryableError(f"{told}; it may come: asked again") if is_early else TemplateError(told)


def _is_runtime_to_come(configuration: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Whether the runtime is newer than all that Astro offers of its line, or newer than all lines of its kind.

    They are called 3.1-14, and those of Airflow 2 13.1.0; the last number counts within a line.
    """
    wanted = _parse_runtime(configuration["runtime_version"])
    offered = [_parse_runtime(str(release.get("version"))) for release in _read(options, "runtimeReleases")]
    if wanted is None:
        return False
    kin = [each for each in offered if each is not None and each[0] == wanted[0]]
    line = [each for each in kin if each[1][:-1] == wanted[1][:-1]]
    return bool(kin) and all(wanted[1] > numbers for _, numbers in line or kin)


def _parse_runtime(version: str) -> tuple[bool, tuple[int, ...]] | None:
    if _RUNTIME.fullmatch(version) is None:
        return None
    return is_airflow_3_runtime(version), tuple(map(int, re.split(r"[.-]", version)))


def _check_configuration(
    configuration: Mapping[str, Any], options: Mapping[str, Any], *, is_update: bool
) -> Iterator[Problem]:
    yield from _check_known("executor", name_executor(configuration), _read(options, "executors"))
    if not is_update:
        versions = [_read(release, "version", "runtimeReleases[]") for release in _read(options, "runtimeReleases")]
        yield from _check_known("runtime_version", configuration["runtime_version"], versions)
    if size := configuration.get("scheduler_size"):
        names = [_read(machine, "name", "schedulerMachines[]") for machine in _read(options, "schedulerMachines")]
        yield from _check_known("scheduler_size", size.upper(), names)


def _check_known(key: str, value: str, known: Iterable[str]) -> Iterator[Problem]:
    if value not in (names := list(known)):
        yield Problem(
            ("configuration", key), f"found '{value}', which Astro does not offer; {_list_known(value, names)}"
        )


def _list_known(value: str, known: list[str]) -> str:
    """List what Astro knows; of many, what is nearest to the value."""
    shown = known if len(known) <= _SHOWN_MAX else difflib.get_close_matches(value, known, n=_SHOWN_MAX, cutoff=0)
    more = f" and {len(known) - len(shown)} more" if len(shown) < len(known) else ""
    return f"known: {', '.join(shown) or 'none'}{more}"


def _check_queues(queues: Iterable[Mapping[str, Any]], options: Mapping[str, Any]) -> Iterator[Problem]:
    if not queues:
        return
    limits = _read(options, "workerQueues")
    machines = {
        _read(machine, "name", "workerMachines[]").upper(): machine for machine in _read(options, "workerMachines")
    }
    for queue in queues:
        problems = [
            *_check_range(queue, "min_worker_count", _read_range(limits, "minWorkers", "workerQueues")),
            *_check_range(queue, "max_worker_count", _read_range(limits, "maxWorkers", "workerQueues")),
            *_check_machine(queue, machines),
        ]
        yield from (each.move_below("worker_queues", queue["name"]) for each in problems)


def _check_machine(queue: Mapping[str, Any], machines: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    name = queue["worker_type"]
    machine = machines.get(name.upper())
    if machine is None:
        message = f"found '{name}', which Astro does not offer; {_list_known(name, list(machines))}"
        yield Problem(("worker_type",), message)
        return
    limits = _read_range(machine, "concurrency", f"workerMachines[{name}]")
    yield from _check_range(queue, "worker_concurrency", limits, f" for {name}")


def _check_range(queue: Mapping[str, Any], key: str, limits: _Range, of: str = "") -> Iterator[Problem]:
    value = queue.get(key)
    if value is not None and not limits.floor <= value <= limits.ceiling:
        yield Problem((key,), f"found {value}, expected {limits.floor:g} to {limits.ceiling:g}{of}")


def _read(answer: Mapping[str, Any], key: str, place: str = "the answer") -> Any:
    if not isinstance(answer, dict) or answer.get(key) is None:
        raise ObservationError(
            f"GET deployment-options: {place} lacks '{key}'; nothing is concluded from it, look again"
        )
    return answer[key]


def _read_range(answer: Mapping[str, Any], key: str, place: str) -> _Range:
    found = _read(answer, key, place)
    return _Range(_read(found, "floor", f"{place}.{key}"), _read(found, "ceiling", f"{place}.{key}"))
