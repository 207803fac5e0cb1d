"""What may be told of a Deployment's own Airflow: its texts without what the preview was given. Writes nothing.

Whoever pushed a branch wrote those texts, and an exception, a log line or a DAG's id may quote what the preview holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from include.deploy_ops.core.environment.mapping import Mapped
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.hooks.astro.connection import read_astro_connection
from include.deploy_ops.hooks.secrets import read_secrets
from include.deploy_ops.process.redaction import list_forms, redact_cut, replace_forms
from include.deploy_ops.run.endings import mask_text
from include.deploy_ops.run.seals import Seals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OLDER = "it holds other values than are known now, so its own words are not told until it is refreshed"


@dataclass(frozen=True, slots=True)
class Given:
    """What one preview was given, without a value: `mapped` says where each comes from, `laid` holds their seals.

    A trigger takes it along, and reads the values itself.
    """

    control_plane: str
    astro_conn_id: str
    deployment_id: str
    mapped: tuple[Mapped, ...] = ()
    laid: dict[str, str] = field(default_factory=dict)

    def write(self) -> dict[str, Any]:
        """Return it as JSON."""
        written: dict[str, Any] = _GIVEN.dump_python(self, mode="json")
        return written


_GIVEN = TypeAdapter(Given)


@dataclass(frozen=True, slots=True)
class Mask:
    """Takes secrets out of a text, and what was given; `values` are the spellings of whole values.

    `problem` says why the values cannot be read; `untold` why its Airflow's own words are not to be told: then, too,
    or since it holds others.
    """

    forms: Sequence[str] = field(default=(), repr=False)
    values: Sequence[str] = field(default=(), repr=False)
    problem: str = ""
    untold: str = ""

    def __call__(self, text: str) -> str:
        """Return the text without what is known to be secret."""
        return mask_text(redact_cut(text, self.forms))  # the other way round, a shorter secret may part a longer one

    def quote(self, text: str) -> str:
        """Return likewise what repeats its Airflow's own words; where they are not to be told, that alone."""
        return self.untold or self(text)

    def mask_name(self, name: str) -> str:
        """Return a name that is to be asked for again: as it is, unless it holds a whole value."""
        return name if replace_forms(name, self.values) == name else self(name)


def read_mask(given: Mapping[str, Any] | None, public: str = "") -> Mask:
    """Return what masks a Deployment's texts, having read what it was given; for Airflow's log, too.

    Blocks: a trigger calls it in a thread.

    :param given: what `Given.write` returned; None where nothing is mapped, as of a target.
    :param public: what everybody may read: a short value that stands there is no secret as a part of a name.
    """
    if given is None:
        return Mask()
    known = _GIVEN.validate_python(given)
    try:
        secrets = read_secrets(known.mapped)
        seals = Seals(known.control_plane, (read_astro_connection(known.astro_conn_id).token,))
    except RetryableError as error:
        problem = mask_text(f"what its Airflow tells may hold values that cannot be read now: {error}")
        return Mask(problem=problem, untold=problem)
    is_known = seals.seal_values(known.deployment_id, secrets.values) == known.laid
    return Mask(
        list_forms(secrets.list_hidden("")),
        list_forms(secrets.list_values(public)),
        untold="" if is_known else OLDER,
    )
