"""Whatever is deployed, whenever, to a dag-processor however slow: what is called parsed is, and at last it is."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.verification.parsing import Deployed, ParseWatch, choose_current
from tests.worlds.values.dag_processor import DagProcessor, Source

FILES = ["a.py", "b.py", "c.py", "sub/d.py"]
LONG_S = 4000
NEW_S = 500
"""Until then not every file was parsed."""


@dataclass(frozen=True)
class Life:
    """Two states of a folder, and when the second one comes and is looked at."""

    before: dict[str, Source]
    after: dict[str, Source]
    warm_s: int
    notice_s: int
    pause_s: int
    tells_durations: bool


@st.composite
def sources(draw: st.DrawFn, file: str) -> Source:
    is_broken = draw(st.booleans())
    ids = draw(st.frozensets(st.sampled_from([f"{file}:{n}" for n in range(3)]), max_size=2))
    return Source(frozenset() if is_broken else ids, is_broken, draw(st.sampled_from([1, 2, 7, 40])))


@st.composite
def folders(draw: st.DrawFn) -> dict[str, Source]:
    return {file: draw(sources(file)) for file in draw(st.lists(st.sampled_from(FILES), unique=True))}


@st.composite
def lives(draw: st.DrawFn) -> Life:
    before = draw(folders())
    kept = {file: source for file, source in before.items() if draw(st.booleans())}
    return Life(
        before,
        {**kept, **draw(folders())},
        draw(st.integers(0, 1000)),
        draw(st.integers(0, 12)),
        draw(st.integers(3, 20)),
        draw(st.booleans()),
    )


STEADY = Source(frozenset({"steady"}))


def watch(life: Life) -> tuple[ParseWatch, DagProcessor]:
    """Return the last look: done, or after a time that is long."""
    processor = DagProcessor({**life.before, "steady.py": STEADY}, life.tells_durations)
    processor.run(life.warm_s)
    processor.deploy({**life.after, "steady.py": STEADY})
    processor.run(life.notice_s)
    files = frozenset(processor.folder)
    changed = frozenset(file for file in life.after if life.after[file] != life.before.get(file))
    facts = processor.tell()
    seen = ParseWatch(Deployed(facts.at, files, files if life.warm_s < NEW_S else changed)).look(facts)
    while not seen.is_done and processor.now < LONG_S:
        processor.run(life.pause_s)
        seen = seen.look(processor.tell())
    return seen, processor


@given(lives())
@settings(max_examples=150)
@example(Life({"a.py": Source(frozenset({"a"}), seconds=40)}, {"a.py": Source(is_broken=True)}, 35, 0, 3, True))
@example(Life({"a.py": Source(is_broken=True, seconds=40)}, {"a.py": Source(frozenset({"a"}))}, 35, 0, 3, True))
@example(Life({"a.py": Source(frozenset({"a"}))}, {"a.py": Source()}, 100, 0, 3, False))
def test_what_is_called_parsed_is_what_was_deployed(life: Life) -> None:
    seen, processor = watch(life)
    assert seen.is_done, seen.waiting
    current = choose_current(seen, processor.tell())
    folder = processor.folder
    assert {each.dag_id for each in current.dags} == {name for source in folder.values() for name in source.dag_ids}
    assert {each.file for each in current.faults} == {file for file, source in folder.items() if source.is_broken}
    assert set(seen.silent & seen.deployed.changed) == {
        file for file in seen.deployed.changed if not (folder[file].dag_ids or folder[file].is_broken)
    }


@given(lives())
@settings(max_examples=30)
def test_nothing_is_called_parsed_while_nothing_is_parsed(life: Life) -> None:
    processor = DagProcessor({**life.before, "steady.py": STEADY})
    processor.run(life.warm_s)
    facts = processor.tell()
    seen = ParseWatch(Deployed(facts.at, frozenset(processor.folder), frozenset({"steady.py"}))).look(facts)
    for _ in range(20):  # time passes in the world, not in the dag-processor
        processor.now += 60
        seen = seen.look(processor.tell())
    assert not seen.is_done or not facts.dags
