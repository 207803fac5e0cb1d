"""`make replay`: a file of kept passes and a policy in, a table out; without a network, and on wish without names."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import pytest

from demo.columns import read_columns
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.passes.decision import decide
from include.deploy_ops.core.passes.snapshot import dump_snapshot, make_snapshot
from include.deploy_ops.core.plan.remembered import Ending, Remembered
from include.deploy_ops.run.snapshots import Snapshots
from replay import fetch
from replay.__main__ import main, run
from replay.file import read_file, write_file
from replay.names import NameHasher
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import POLICY, make_deployment, sha
from tests.worlds.values.generated import Owned, World
from tests.worlds.values.passes import NOW, make_facts, make_rules

if TYPE_CHECKING:
    from include.deploy_ops.core.passes.reading import PassFacts

GONE = tuple(Owned(make_deployment(branch), branch) for branch in ("dev-ada", "dev-bob"))
WORLD = World({"main": sha("a"), "dev-kept": sha("b")}, astro=GONE)


def make_pass() -> tuple[Any, PassFacts, Any]:
    rules, facts = make_rules(WORLD.project), make_facts(WORLD)
    return rules, facts, decide(rules, facts)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Give a file with one pass."""
    path = tmp_path / "snapshots.json"
    write_file(path, "shop", [dump_snapshot(make_snapshot(*make_pass()))])
    return path


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Give the policy that was in force."""
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a replay asks nobody")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_by_the_policy_that_was_in_force_nothing_is_otherwise(kept: Path, policy: Path) -> None:
    assert run(kept, policy).startswith("1 pass, of which 1 would have decided the same; 1 of them by this very policy")


def test_it_answers_whether_this_would_have_deleted_it(kept: Path, policy: Path) -> None:
    policy.write_text(POLICY.replace("    targets:", "    limits: {max_deletes: 1}\n    targets:"), encoding="utf-8")
    (row,) = read_columns(run(kept, policy, "dev-bob"))
    assert row[1:4] == ["dev-bob", "delete, starts", "delete, later"]
    assert "policy.yaml:" in row[4]


def test_hashed_it_shows_no_name_and_the_same_digits_for_the_same_one(kept: Path, policy: Path) -> None:
    policy.write_text(POLICY.replace("dev*", "fix*"), encoding="utf-8")
    open_page, page = run(kept, policy), run(kept, policy, is_hashed=True)
    assert "dev-kept" in open_page
    for name in ("dev-kept", "dev-ada", "shop-dev", "id-dev"):
        assert name not in page
    assert page == run(kept, policy, is_hashed=True)


SAID = "rejected by Grace Hopper, because Ada's customer 4711 complained"
BROKE = "Grace Hopper answered another question than what this run is about now"


@pytest.mark.parametrize(("cause", "shown"), [(SAID, "rejected by …"), (BROKE, "text-")])
def test_hashed_it_shows_nobody_who_said_no_and_nothing_that_a_failure_said(
    cause: str, shown: str, tmp_path: Path, policy: Path
) -> None:
    path, rules = tmp_path / "held.json", make_rules(WORLD.project)
    (work,) = (each.work for each in decide(rules, make_facts(WORLD)).plan.actions if each.work.branch == "dev-kept")
    ending = Ending(work.name, NOW, is_failure=True, is_permanent=True, cause=cause)
    facts = make_facts(WORLD, remembered={work.slug: Remembered({work.verb.value: ending})})
    write_file(path, "shop", [dump_snapshot(make_snapshot(rules, facts, decide(rules, facts)))])
    assert "Grace" in " ".join(run(path, policy, "dev-kept").split())
    page = run(path, policy, "dev-kept", is_hashed=True)
    assert shown in page
    for word in ("Grace", "Hopper", "4711", "customer", "question"):
        assert word not in page


def test_of_a_no_and_an_override_nobody_is_named_in_whatever_words() -> None:
    hide = NameHasher([], ["by Grace: too dear"]).hide
    assert hide("held: rejected by Grace, because no") == "held: rejected by …"
    assert hide("overridden by 1234 of Grace, until resumed") == "overridden by …"
    assert hide("by Grace: too dear, until the branch moves").endswith(", until the branch moves")


def test_names_are_hidden_longest_first_and_not_within_words() -> None:
    hide = NameHasher(["dev", "dev-a", "dev-a-b"]).hide
    assert hide("dev-a-b and dev-a, developer") == f"{hide('dev-a-b')} and {hide('dev-a')}, developer"
    assert len({hide("dev"), hide("dev-a"), hide("dev-a-b")}) == 3
    assert NameHasher([]).hide("dev") == "dev"


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"version": 1, "value": {"passes": 3}}'])
def test_a_file_of_another_kind_is_refused_with_what_to_do(kept: Path, text: str) -> None:
    kept.write_text(text, encoding="utf-8")
    with pytest.raises(PermanentError, match="make snapshots"):
        read_file(kept)


def test_a_pass_that_cannot_be_read_is_left_out(kept: Path) -> None:
    stored = json.loads(kept.read_text(encoding="utf-8"))
    stored["value"]["passes"].append({"version": 99, "value": {}})
    kept.write_text(json.dumps(stored), encoding="utf-8")
    assert len(read_file(kept)) == 1


def test_the_command_prints_the_table_and_says_what_is_wrong(
    kept: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(kept), "--policy", str(policy)]) == 0
    assert "1 pass" in capsys.readouterr().out
    policy.write_text(POLICY.replace("name: shop", "name: other"), encoding="utf-8")
    assert main([str(kept), "--policy", str(policy)]) == 1
    assert "has no project shop" in capsys.readouterr().err
    assert main([str(kept.parent / "none.json"), "--policy", str(policy)]) == 1
    assert "FILE=" in capsys.readouterr().err


def make_airflow(store: DictStore, seen: list[httpx.Request]) -> httpx.Client:
    """Return a client of an Airflow that has one asset, and its store."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.path == "/api/v2/assets":
            assets = [{"id": 4, "name": "deploy_ops.shopping.fleet"}, {"id": 7, "name": "deploy_ops.shop.fleet"}]
            return httpx.Response(200, json={"assets": assets})
        key = request.url.path.removeprefix("/api/v2/assets/7/state-store/")
        if key in store.values:
            return httpx.Response(200, json={"key": key, "value": store.values[key]})
        return httpx.Response(404, json={"detail": "none"})

    return httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(answer))


def test_kept_passes_are_fetched_by_reading_alone(tmp_path: Path) -> None:
    store, seen = DictStore(), list[httpx.Request]()
    Snapshots(store, 5).keep(*make_pass())
    before = dict(store.values)
    path = tmp_path / "out.json"
    assert fetch.fetch(make_airflow(store, seen), "shop", path) == 1
    (snapshot,) = read_file(path)
    assert snapshot == make_snapshot(*make_pass())
    assert {request.method for request in seen} == {"GET"}
    assert store.values == before


@pytest.mark.parametrize(
    ("project", "said"), [("shop", "set `snapshots: 20`"), ("nobody", "name the project in PROJECT")]
)
def test_where_nothing_is_kept_it_says_what_to_do(tmp_path: Path, project: str, said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        fetch.fetch(make_airflow(DictStore(), []), project, tmp_path / "out.json")
