"""Read what a mapping names from the management Airflow, and keep it out of every text of ours.

Airflow's own ways are taken, secrets backends included. Values are handed to who lays them, and written nowhere.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, Variable
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError
from airflow.sdk.log import mask_secret

from include.deploy_ops.core.environment.sources import EXTRA, WHOLE, ConnectionSource, VariableSource
from include.deploy_ops.core.errors import DeployOpsError, RetryableError
from include.deploy_ops.process.redaction import redact_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow.sdk import Connection

    from include.deploy_ops.core.environment.mapping import Mapped

_HIDDEN_MIN = 4
"""Characters; to take out what is shorter would blot out ordinary words, so nothing shorter is given to a preview."""

_OPEN_FIELD = "port"
"""The field of a connection that is no secret by itself, and short."""

_PART_MIN = 8
"""The same for what is often a plain word: a connection's host, login, schema and extra, and values in the open."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What was read: values by environment variable, and what else of a connection would give them away.

    `parts`, and short values, need not be hidden where they stand in a text that everybody may read. `at`: when.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    wholes: tuple[str, ...] = field(default=(), repr=False)
    parts: tuple[str, ...] = field(default=(), repr=False)
    at: datetime | None = None

    def list_hidden(self, public: str) -> tuple[str, ...]:
        """Return every text that may show nowhere, beside what stands in a public one."""
        parts = [each for each in self.parts if len(each) >= _PART_MIN and each not in public]
        return tuple(dict.fromkeys((*self.list_values(public), *parts)))

    def list_values(self, public: str) -> tuple[str, ...]:
        """Return those of them that are a value, a password or a connection as one."""
        # Without blanks around it: a newline at its end would keep the rest from being found in a line.
        wholes = [each.strip() for each in (*self.values.values(), *self.wholes)]
        wholes = [each for each in wholes if len(each) >= _HIDDEN_MIN]
        return tuple(dict.fromkeys(each for each in wholes if len(each) >= _PART_MIN or each not in public))

    @contextlib.contextmanager
    def hide_in_errors(self, public: str) -> Iterator[None]:
        """Take them out of what is raised in the block, and of what caused it: services repeat what they were sent."""
        try:
            yield
        except DeployOpsError as error:
            hidden = self.list_hidden(public)
            said: BaseException | None = error
            while isinstance(said, Exception):
                redact_error(said, hidden)
                said = said.__cause__ or said.__context__
            raise


NO_SECRETS = Secrets()


def read_secrets(mapped: Iterable[Mapped]) -> Secrets:
    """Return the values of what a mapping takes from the management Airflow, masked in this task's log.

    :raises RetryableError: one is missing, empty or unreadable; names it. Nobody tells us when a person has mended it,
        and a secrets backend that cannot be reached looks the same.
    """
    at, reader = datetime.now(UTC), _Reader()
    values = {each.key: reader.read(each) for each in mapped if each.is_secret}
    secrets = Secrets(values, tuple(reader.wholes), tuple(reader.parts), at)
    for text in (*values.values(), *reader.wholes):
        mask_secret(text.strip())
    return secrets


class _Reader:
    """Asks Airflow once for each variable and connection."""

    def __init__(self) -> None:
        self.wholes: list[str] = []
        self.parts: list[str] = []
        self._connections: dict[str, Connection] = {}
        self._variables: dict[str, str] = {}

    def read(self, mapped: Mapped) -> str:
        source = mapped.source
        value: str | None = None
        if isinstance(source, VariableSource):
            value = self._read_variable(source.variable)
        elif isinstance(source, ConnectionSource):
            value = _pick(self._read_connection(source.connection), source.field)
        if not value:
            raise RetryableError(f"{mapped.key}: {source} of the management Airflow is empty; fill it, or map another")
        if "\0" in value or not _is_writable(value):
            raise RetryableError(
                f"{mapped.key}: {source} of the management Airflow is no text that an environment holds"
            )
        if not (isinstance(source, ConnectionSource) and source.field == _OPEN_FIELD):
            _check_length(f"{mapped.key}: {source}", value)
        return value

    def _read_variable(self, name: str) -> str:
        if name not in self._variables:
            with _name_failure(f"variable '{name}'"):
                self._variables[name] = str(Variable.get(name))
        return self._variables[name]

    def _read_connection(self, conn_id: str) -> Connection:
        if conn_id not in self._connections:
            with _name_failure(f"connection '{conn_id}'"):
                connection = BaseHook.get_connection(conn_id)
                self._connections[conn_id] = connection
                extra = _read_extra(connection)
                self.wholes += [each for each in (connection.password, write_connection(connection)) if each]
                self.wholes.append(connection.get_uri())
                plain = (connection.host, connection.login, connection.schema, connection.extra)
                self.parts += [each for each in (*plain, *_list_texts(extra)) if each]
            if connection.password:
                _check_length(f"the password of connection '{conn_id}'", connection.password)
        return self._connections[conn_id]


def _check_length(what: str, value: str) -> None:
    if len(value.strip()) < _HIDDEN_MIN:
        raise RetryableError(
            f"{what} of the management Airflow is shorter than {_HIDDEN_MIN} characters, too short to be kept out of "
            "what a preview says; take a longer one, or write a text into the policy where it is no secret"
        )


@contextlib.contextmanager
def _name_failure(what: str) -> Iterator[None]:
    """Tell which it was, and nothing that Airflow or a backend says: that may be anything."""
    try:
        yield
    except (AirflowException, AirflowRuntimeError, ValueError, OSError) as error:
        raise RetryableError(
            f"the management Airflow gave no {what} ({type(error).__name__}): it is missing, or its secrets backend "
            "cannot be reached. Nothing was changed; make it, or wait"
        ) from None


def write_connection(connection: Connection) -> str:
    """Return the connection as the JSON that Airflow reads from an environment variable."""
    names = ("conn_type", "host", "login", "password", "schema", "port")
    found = {name: getattr(connection, name) for name in names}
    extra = _read_extra(connection) if connection.extra else None
    return json.dumps({name: value for name, value in {**found, "extra": extra}.items() if value})


def _read_extra(connection: Connection) -> Any:
    """Return the extra as JSON; as a text where it is none."""
    try:
        return json.loads(connection.extra or "{}")
    except (ValueError, RecursionError):
        return connection.extra


def _pick(connection: Connection, name: str) -> str | None:
    if name == WHOLE:
        return write_connection(connection)
    if name == "uri":
        return connection.get_uri()
    if not name.startswith(EXTRA):
        value = getattr(connection, name)
    else:
        extra = _read_extra(connection)
        value = extra.get(name.removeprefix(EXTRA)) if isinstance(extra, dict) else None
    return value if isinstance(value, str) or value is None else json.dumps(value)


def _list_texts(value: Any) -> Iterator[str]:
    """Yield every text in an extra."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _list_texts(each)


def _is_writable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
