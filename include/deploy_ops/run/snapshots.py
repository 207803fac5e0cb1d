"""The last passes of a project as they were read and decided, in its fleet asset's store: a ring of bounded values.

Only control writes it, and only where the policy asks for it. A snapshot is JSON, compressed, in pieces of text.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, TypeAdapter

from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.passes.snapshot import dump_snapshot, make_snapshot
from include.deploy_ops.run.store import FilledSlot, SplitSlot, Store

if TYPE_CHECKING:
    from include.deploy_ops.core.passes.decision import Decision
    from include.deploy_ops.core.passes.reading import PassFacts
    from include.deploy_ops.core.passes.rules import Rules
    from include.deploy_ops.core.plan.work import Plan

INDEX_KEY = "control.snapshots"
BYTES_MAX = 256 * 1024
"""Bytes of one snapshot, compressed, as text: some thousand previews. A larger one is not kept, and that is said."""

TEXT_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of the JSON that are unpacked at the most: a few bytes may be packed out of very many."""

PIECE_LENGTH = 8 * 1024
"""Characters of a piece: several fit under one key of the store."""

_DIGEST_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Kept:
    """One kept pass: when it was, and what names the plan that it made."""

    at: AwareDatetime
    digest: str


@dataclass(frozen=True, slots=True)
class Index:
    """Which passes are kept, by the number of their place in the ring, and the place that was written last."""

    last: int = -1
    kept: Mapping[str, Kept] = field(default_factory=dict)


_INDEX = TypeAdapter(Index)
_PIECES = TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The ring of one project; `count` is how many places it has."""

    store: Store
    count: int

    def keep(self, rules: Rules, facts: PassFacts, decision: Decision) -> str:
        """Keep the pass, unless it decided what the last kept one did; return why it cannot be kept, if so."""
        index = self._index.read()
        digest = digest_plan(decision.plan)
        if (last := index.kept.get(str(index.last))) is not None and last.digest == digest:
            return ""
        packed = pack(dump_snapshot(make_snapshot(rules, facts, decision)))
        if len(packed) > BYTES_MAX:
            return f"this pass is not kept for a replay: it takes {len(packed)} bytes, and {BYTES_MAX} are the most"
        place = (index.last + 1) % self.count
        self._place(place).write(part(packed))
        kept = {name: each for name, each in index.kept.items() if int(name) < self.count}
        for name in index.kept.keys() - kept.keys():  # the policy asks for fewer than before
            self._place(int(name)).forget()
        self._index.write(Index(place, {**kept, str(place): Kept(facts.given.now, digest)}))
        return ""

    def read(self) -> list[Any]:
        """Return the kept passes as they were dumped, the oldest first."""
        kept = sorted(self._index.read().kept.items(), key=lambda item: item[1].at)
        return [unpack(self._place(int(name)).read()) for name, _ in kept]

    @property
    def _index(self) -> FilledSlot[Index]:
        return FilledSlot(self.store, INDEX_KEY, _INDEX, blank=Index, within=("kept",))

    def _place(self, number: int) -> SplitSlot[str]:
        return SplitSlot(self.store, f"control.snapshot-{number}", _PIECES, blank=dict)


def digest_plan(plan: Plan) -> str:
    """Return what names a plan: what starts, and what is held and why."""
    said = [*(action.run_id for action in plan.actions), *map(str, plan.holds)]
    return hash_text("\n".join(said), _DIGEST_LENGTH)


def pack(value: Any) -> str:
    """Return the JSON value as compressed text."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    return base64.b64encode(zlib.compress(text.encode())).decode()


def part(packed: str) -> dict[str, str]:
    """Return the text in pieces, by number."""
    starts = range(0, len(packed), PIECE_LENGTH)
    return {f"{number:03}": packed[start : start + PIECE_LENGTH] for number, start in enumerate(starts)}


def unpack(pieces: Mapping[str, str]) -> Any:
    """Return what the pieces hold; None where one is lost, or it is more than anybody packed."""
    reader = zlib.decompressobj()
    try:
        packed = base64.b64decode("".join(each for _, each in sorted(pieces.items())))
        text = reader.decompress(packed, TEXT_BYTES_MAX)
        return json.loads(text) if reader.eof else None
    except (ValueError, zlib.error):
        return None
