"""Seals: what one step hands to another counts only as a step of this control plane wrote it, for that run and task.

XComs, a run's `conf` and the asset state store can be written by whoever has rights on one DAG, or on one asset. What
is deployed where asks for more: so each value that work is done by is signed by a key that is derived from the Astro
token. Whoever knows that token can deploy anyway.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from include.deploy_ops.core.errors import SealError

if TYPE_CHECKING:
    from collections.abc import Mapping

WORK: Final = "work"
"""Purpose: what a run works on, such as its `conf` and what its tasks return."""

APPROVAL: Final = "approval"
"""Purpose: a person's yes, sealed by the task that asked."""

VALUE: Final = "value"
"""Purpose: a value that a preview was given, which tells later whether another one took its place."""

_VERSION = "1"
_KEY_LENGTH, _NAME_LENGTH = 32, 4
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value stands: it counts nowhere else. `part` is a task and the key of its XCom, or "conf"."""

    dag_id: str
    run_id: str
    part: str

    def __str__(self) -> str:
        return f"{self.part} of run {self.run_id} of {self.dag_id}"


@dataclass(frozen=True, slots=True)
class Seals:
    """Makes and checks seals of one control plane.

    :param tokens: the Astro tokens of the work: a project's, or those of all projects for what concerns all.
    """

    control_plane: str
    tokens: tuple[str, ...] = field(repr=False)

    def make(self, purpose: str, place: Place, value: Any) -> str:
        """Return the seal of a JSON value: the form's version, the key's name and 64 hexadecimal digits."""
        return f"{_VERSION}.{self._name_key()}.{self._sign(purpose, place, value)}"

    def check(self, purpose: str, place: Place, value: Any, seal: Any) -> None:
        """Raise SealError unless the value bears the seal that `make` returned for it there."""
        if not seal:
            raise SealError(
                f"{place} bears no seal: a release before 0.3 wrote it, or somebody did by hand. It is not acted on; "
                "let control plan anew, or trigger a new run"
            )
        version, _, rest = str(seal).partition(".")
        name, _, signature = rest.partition(".")
        if (version, name) != (_VERSION, self._name_key()):
            raise SealError(
                f"{place} was sealed under another Astro token: the token of the project's connection was rotated "
                "since, which voids what was under way. Let control plan anew, or trigger a new run"
            )
        if not hmac.compare_digest(signature.encode(), self._sign(purpose, place, value).encode()):
            raise SealError(
                f"{place} is not what was sealed there: it was changed by hand. It is not acted on; look at Airflow's "
                "audit log, then let control plan anew, or trigger a new run"
            )

    def seal_values(self, deployment_id: str, values: Mapping[str, str]) -> dict[str, str]:
        """Return for each value, by environment variable, 32 hexadecimal digits that tell it from any other.

        They count for one Deployment alone, so that two previews with one value do not show that.
        """
        key = self._derive(VALUE, _KEY_LENGTH)
        texts = {name: json.dumps([deployment_id, name, value]) for name, value in values.items()}
        return {name: hmac.new(key, text.encode(), sha256).hexdigest()[:_DIGITS] for name, text in texts.items()}

    def _sign(self, purpose: str, place: Place, value: Any) -> str:
        text = json.dumps([place.dag_id, place.run_id, place.part, value], sort_keys=True, separators=(",", ":"))
        return hmac.new(self._derive(purpose, _KEY_LENGTH), text.encode(), sha256).hexdigest()

    def _name_key(self) -> str:
        """Return a few digits by which another token's seals are told from forged ones; they give nothing away."""
        return self._derive("name", _NAME_LENGTH).hex()

    def _derive(self, purpose: str, length: int) -> bytes:
        # Here: Airflow parses each DAG file anew for every task, and most parsings seal nothing.
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        info = json.dumps(["deploy-ops seal", _VERSION, self.control_plane, purpose]).encode()
        if not all(self.tokens) or not self.tokens:
            raise ValueError("a seal needs a token")
        secret = json.dumps(sorted(set(self.tokens))).encode()
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
