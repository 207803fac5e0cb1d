"""A template against what Astro offers: machines, queue sizes, executors, runtime versions.

The answer is fetched elsewhere. The CLI checks only some of this, and names another cause when a machine is unknown.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NamedTuple

from include.deploy_ops.core.errors import ObservationError, TemplateError
from include.deploy_ops.core.template.rules import name_deployment_type, name_executor
from include.deploy_ops.core.text.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from include.deploy_ops.core.template.template import Template

_SHOWN_MAX = 8


class _Range(NamedTuple):
    floor: float
    ceiling: float


def check_against_options(template: Template, options: Mapping[str, Any], *, is_update: bool = False) -> None:
    """Check the template against Astro's answer to `GET …/deployment-options` for its type and cloud.

    An update does not send the runtime version, which may be one that Astro has ceased to offer. Raises TemplateError
    with key, value and what is known; ObservationError where the answer lacks what has to be compared.
    """
    problems = list(_check_configuration(template.configuration, options, is_update=is_update))
    if name_deployment_type(template.configuration) != "HYBRID":  # its queues name node pools, not machines
        problems += _check_queues(template.body.get("worker_queues", ()), options)
    if problems:
        raise TemplateError("\n".join(f"{template.source}: {each.move_below('deployment')}" for each in problems))


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
