"""A policy's mapping → the environment variables that a preview gets by it, and what may not be one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.environment.placeholders import fill_placeholders
from include.deploy_ops.core.environment.sources import (
    TOTAL_BYTES_MAX,
    VALUE_BYTES_MAX,
    Pattern,
    Source,
    write_source,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PARTS = ("connections", "variables", "environment_variables")
"""What a mapping is made of, as the policy calls it."""

_PREFIXES = {"connections": "AIRFLOW_CONN_", "variables": "AIRFLOW_VAR_"}
"""Before the id in capitals: where Airflow looks for a connection and for a variable."""

WORKLOAD_IDENTITY = "workload_identity"
"""A key of the Deployment template: the cloud identity by which a Deployment's code may act."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ID = re.compile(r"[A-Za-z0-9_]+")
_SECRETS_PREFIXES = ("AIRFLOW__SECRETS__", "AIRFLOW__WORKERS__SECRETS_")


@dataclass(frozen=True, slots=True)
class Mapped:
    """One environment variable of a preview, and where its value comes from."""

    key: str
    source: Source

    @property
    def is_secret(self) -> bool:
        """Whether its value may show nowhere."""
        return self.source.is_secret


def name_key(part: str, name: str) -> str:
    """Return the environment variable that an entry of one of the `PARTS` gives."""
    prefix = _PREFIXES.get(part, "")
    return f"{prefix}{name.upper()}" if prefix else name


def map_environment(entries: Iterable[tuple[str, str, Source]]) -> tuple[Mapped, ...]:
    """Return what a mapping's entries (part, name, source) give, in the order of the keys."""
    found = (Mapped(name_key(part, name), source) for part, name, source in entries)
    return tuple(sorted(found, key=lambda each: each.key))


def check_airflow_id(text: str) -> str:
    """Return the id of a connection or variable in a preview's Airflow; it becomes the name of an environment variable.

    Raises ValueError where it cannot.
    """
    if not _ID.fullmatch(text):
        raise ValueError("an id of letters, digits and '_': it becomes the name of an environment variable")
    return text


def check_environment_name(text: str) -> str:
    """Return the name of an environment variable that a mapping may set; raises ValueError otherwise."""
    if not _NAME.fullmatch(text):
        raise ValueError("the name of an environment variable: letters, digits and '_', no digit first")
    for place, prefix in _PREFIXES.items():
        if text.upper().startswith(prefix):
            raise ValueError(f"another name: what begins with {prefix} is written below 'environment.{place}'")
    if is_about_secrets(text):
        raise ValueError(
            "another name: this one says where the preview's Airflow reads secrets, which would come before what is "
            "mapped here; the template may set it, where 'previews.inherit' names it"
        )
    return text


def check_inherited(text: str) -> str:
    """Return a key by which a preview may reach production's secrets; raises ValueError for any other."""
    if text != WORKLOAD_IDENTITY and not is_about_secrets(text):
        raise ValueError(f"{WORKLOAD_IDENTITY}, or a variable {' or '.join(f'{each}…' for each in _SECRETS_PREFIXES)}")
    return text


def is_about_secrets(key: str) -> bool:
    """Whether the environment variable tells Airflow which secrets backend it reads first."""
    return key.upper().startswith(_SECRETS_PREFIXES)


def write_mapped(mapped: Iterable[Mapped]) -> dict[str, Any]:
    """Return where each value comes from as JSON, by environment variable; equal mappings give equal JSON."""
    return {each.key: write_source(each.source) for each in mapped}


def fill_texts(mapped: Iterable[Mapped], fields: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of a mapping as they are for one branch, by environment variable."""
    return {
        each.key: fill_placeholders(each.source.text, fields) for each in mapped if isinstance(each.source, Pattern)
    }


def find_size_problems(values: Mapping[str, str]) -> Iterator[str]:
    """Yield what is too large of the values, which are given by environment variable; never a value itself."""
    sizes = {key: len(value.encode()) for key, value in values.items()}
    for key, size in sizes.items():
        if size > VALUE_BYTES_MAX:
            yield f"the value for {key} has {size:,} bytes, and may have {VALUE_BYTES_MAX:,}"
    if (total := sum(sizes.values())) > TOTAL_BYTES_MAX:
        yield f"all mapped values together have {total:,} bytes, and may have {TOTAL_BYTES_MAX:,}"
