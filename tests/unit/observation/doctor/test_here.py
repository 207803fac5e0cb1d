"""Each check of this Airflow and its worker turns red by a fault, and green by what its advice says."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.doctor import here
from include.deploy_ops.core.doctor.check import Check, Status
from include.deploy_ops.core.doctor.wanted import CLI_VERSION, SETTINGS
from include.deploy_ops.core.naming import slug_branch
from include.deploy_ops.core.plan.continuity import ALWAYS, Continuity
from include.deploy_ops.core.plan.outcome import FAILED, NOTHING_TO_DEPLOY, SUCCESS, Outcome
from include.deploy_ops.core.policy.keys import Notice
from include.deploy_ops.core.view.health import ASTRO, GITHUB, Sight, expect_look, see_failing, see_well
from include.deploy_ops.core.view.row import Row, RowKind, State
from include.deploy_ops.hooks import conversation
from include.deploy_ops.hooks.astro.connection import CLI_VARIABLE
from include.deploy_ops.hooks.github import http as github_http
from include.deploy_ops.observation.doctor.here import examine_here
from include.deploy_ops.observation.doctor.means import Inside
from include.deploy_ops.operators.doctor.examine import ExamineOperator
from include.deploy_ops.process import confinement
from include.deploy_ops.process.confinement import Protection
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.scope import CLI_POOL
from tests.worlds.doubles.airflow import FakeTaskInstance
from tests.worlds.stages.stage import close_hooks

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

OK, WARN, FAIL, NOT_KNOWN = Status.OK, Status.WARN, Status.FAIL, Status.NOT_KNOWN
SLUG = slug_branch("dev-x")
NOTIFIER = "tests.worlds.doubles.notifiers.RecordingNotifier"


@dataclass
class World:
    """A project on the sandbox, and a worker whose tools, settings and clocks a test replaces."""

    stage: Stage
    monkeypatch: pytest.MonkeyPatch
    folder: Path
    sights: dict[str, Sight] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def look(self, *, is_inside: bool = True) -> dict[str, Check]:
        """Return the checks by their names."""
        task = ExamineOperator(task_id="shop", scope=self.stage.scope)
        ti: Any = FakeTaskInstance(self.stage.airflow, {}, "shop", 1)
        inside = Inside(Runs(ti, "deploy_ops.doctor"), self.stage.memory, self.sights) if is_inside else None
        try:
            checks = examine_here(task, inside, self.now)
        finally:
            close_hooks(task)
        found = {check.name: check for check in checks}
        assert len(found) == len(checks)
        return found

    def install(self, name: str, says: str) -> Path:
        """Lay a program before all others in PATH, which says this whatever it is asked."""
        path = self.folder / name
        path.write_text(f"#!/bin/sh\necho '{says}'\n")
        path.chmod(0o755)
        self.monkeypatch.setenv("PATH", f"{self.folder}:/usr/bin:/bin")
        return path

    def uninstall(self, *names: str) -> None:
        """Let PATH lead to the system's other programs alone."""
        tools = self.folder / "tools"
        tools.mkdir(exist_ok=True)
        for source in map(Path, ("/usr/bin/sh", "/usr/bin/git", "/usr/bin/env")):
            if source.name not in names and not (tools / source.name).exists():
                (tools / source.name).symlink_to(source)
        self.monkeypatch.setenv("PATH", str(tools))

    def set_cli(self, version: str) -> Path:
        path = self.install("astro-cli", f"Astro CLI Version: {version}")
        self.monkeypatch.setenv(CLI_VARIABLE, str(path))
        self.monkeypatch.setattr(confinement, "find_protection", lambda: Protection("", "a double runs"))
        return path

    def note_checksum(self, text: str | None = None) -> None:
        cli = self.set_cli(CLI_VERSION)
        noted = hashlib.sha256(cli.read_bytes()).hexdigest() if text is None else text
        Path(f"{cli}.sha256").write_text(f"{noted}  {cli}\n")

    def set_free(self, free_bytes: int) -> None:
        self.monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_bytes))

    def shift_clock(self, module: Any, seconds: float) -> None:
        """Let our clock be ahead of the service's, as far as its hook sees."""

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.now(tz) + timedelta(seconds=seconds)

        self.monkeypatch.setattr(module, "datetime", Shifted)

    def set_row(self, **changes: Any) -> None:
        """Let control have left this row."""
        row = Row(SLUG, RowKind.PREVIEW, "dev-x", "dev-x", "shop.preview", State.LIVE, self.now, **changes)
        self.stage.memory._rows.write({}, {SLUG: row})

    def end_run(self, state: str = SUCCESS, kind: str = "dags") -> None:
        self.set_row(outcomes=(Outcome("x~deploy~1", "shop.preview", "deploy", state, self.now, kind=kind),))

    def queue_deploy(self) -> None:
        """Let a run's deploy have no slot."""
        self.set_row(run_id="x~deploy~1", run_dag="shop.preview")
        self.stage.airflow.states["x~deploy~1"] = "running"
        self.stage.airflow.tasks["x~deploy~1"] = {"deploy": "scheduled"}

    def see(self, service: str, age_s: float, said: str = "") -> None:
        """Let the trigger have looked so long ago."""
        at = self.now - timedelta(seconds=age_s)
        self.sights[service] = expect_look(see_failing(service, None, said, at) if said else see_well(at), 5)

    def pass_by(self, **age: float) -> None:
        """Let control's last pass have begun so long ago."""
        self.stage.memory.continuity.write(Continuity(ALWAYS, self.now - timedelta(**age)))


@pytest.fixture
def world(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    folder = tmp_path / "bin"
    folder.mkdir()
    return World(stage, monkeypatch, folder)


@dataclass(frozen=True)
class Fault:
    """What turns a check red, and what its advice turns green."""

    name: str
    break_: Callable[[World], object]
    status: Status
    said: str
    mend: Callable[[World], object]


def set_(name: str, value: str) -> Callable[[World], object]:
    return lambda world: world.monkeypatch.setenv(name, value)


def name_notifier(notifier: str, **arguments: str) -> Callable[[World], object]:
    notice = Notice(notifier=notifier, arguments=arguments, on=("failure",))
    return lambda world: world.stage.change_project(notify=(notice,))


def list_images(*sources: str) -> Callable[[World], object]:
    return lambda world: world.stage.change_project(image=sources)


def see(service: str, age_s: float, said: str = "") -> Callable[[World], object]:
    return lambda world: world.see(service, age_s, said)


def build_without_an_engine(world: World) -> None:
    world.uninstall()
    list_images("build")(world)


def rest_for_hours(world: World) -> None:
    world.pass_by(hours=3)
    world.stage.airflow.paused.add("shop.control")


FAULTS = [
    Fault(here.CLI, set_(CLI_VARIABLE, "/none/astro"), FAIL, "/none/astro", lambda world: world.set_cli(CLI_VERSION)),
    Fault(here.CLI, lambda world: world.set_cli("1.2.3"), WARN, "1.2.3", lambda world: world.set_cli(CLI_VERSION)),
    Fault(
        here.CHECKSUM,
        lambda world: world.set_cli(CLI_VERSION),
        NOT_KNOWN,
        "nothing in",
        lambda world: world.note_checksum(),
    ),
    Fault(
        here.CHECKSUM, lambda world: world.note_checksum("ab" * 32), FAIL, "abab", lambda world: world.note_checksum()
    ),
    Fault(
        here.GIT,
        lambda world: world.install("git", "git version 2.30.2"),
        FAIL,
        "2.30.2",
        lambda world: world.install("git", "git version 2.47.1"),
    ),
    Fault(
        here.GIT,
        lambda world: world.uninstall("git"),
        FAIL,
        "git",
        lambda world: world.install("git", "git version 2.47.1"),
    ),
    Fault(
        here.ENGINE,
        build_without_an_engine,
        FAIL,
        "no docker or podman",
        lambda world: world.install("docker", "27.1"),
    ),
    Fault(
        here.CONFINEMENT,
        lambda world: world.monkeypatch.setattr(confinement, "find_protection", lambda: Protection("", "none here")),
        WARN,
        "none here",
        lambda world: world.monkeypatch.setattr(confinement, "find_protection", lambda: Protection("/usr/bin/bwrap")),
    ),
    Fault(here.DISK, lambda world: world.set_free(1000), FAIL, "0.0 GiB", lambda world: world.set_free(5 << 30)),
    Fault(
        here.BASE_URL,
        set_("AIRFLOW__API__BASE_URL", "airflow"),
        FAIL,
        "no web address",
        set_("AIRFLOW__API__BASE_URL", "https://airflow.acme.example"),
    ),
    *(
        Fault(
            f"[{setting.section}] {setting.key}",
            set_(setting.variable, "7" if setting.value == "False" else "0.1"),
            WARN,
            f"expected {setting.value}",
            set_(setting.variable, setting.value),
        )
        for setting in SETTINGS
    ),
    Fault(
        here.name_clock(GITHUB),
        lambda world: world.shift_clock(github_http, 100),
        FAIL,
        "ahead",
        lambda world: world.shift_clock(github_http, 0),
    ),
    Fault(
        here.name_clock(ASTRO),
        lambda world: world.shift_clock(conversation, -100),
        FAIL,
        "behind",
        lambda world: world.shift_clock(conversation, 0),
    ),
    Fault(
        f"notifier {NOTIFIER}",
        name_notifier(NOTIFIER, no="such argument"),
        FAIL,
        "no",
        name_notifier(NOTIFIER, path="/none"),
    ),
    Fault(f"pool {CLI_POOL}", lambda world: world.queue_deploy(), WARN, "deploy waits", lambda world: world.end_run()),
    Fault(
        f"pool {CLI_POOL}",
        lambda world: world.end_run(kind=NOTHING_TO_DEPLOY),
        NOT_KNOWN,
        "which pools",
        lambda world: world.end_run(),
    ),
    Fault(
        f"pool {CLI_POOL}",
        lambda world: world.end_run(FAILED),
        NOT_KNOWN,
        "which pools",
        lambda world: world.end_run(),
    ),
    Fault(
        here.DAGS,
        lambda world: world.stage.airflow.missing.add("shop.preview"),
        FAIL,
        "not there: shop.preview",
        lambda world: world.stage.airflow.missing.clear(),
    ),
    Fault(
        here.DAGS,
        lambda world: world.stage.airflow.paused.add("shop.production"),
        WARN,
        "paused: shop.production",
        lambda world: world.stage.airflow.paused.clear(),
    ),
    *(
        Fault(
            f"{here.WATCH}: {service}",
            see(service, 300),
            FAIL,
            "nobody has looked for 5m",
            see(service, 20),
        )
        for service in (GITHUB, ASTRO)
    ),
    Fault(
        f"{here.WATCH}: {GITHUB}",
        see(GITHUB, 20, "HTTP 502"),
        WARN,
        "HTTP 502",
        see(GITHUB, 20),
    ),
    Fault(
        here.PASSES,
        lambda world: world.pass_by(hours=3),
        FAIL,
        "began 3h",
        lambda world: world.pass_by(minutes=50),
    ),
    Fault(
        here.PASSES,
        rest_for_hours,
        WARN,
        "control is paused",
        lambda world: world.pass_by(minutes=1),
    ),
]


@pytest.mark.parametrize("fault", [pytest.param(fault, id=f"{fault.name}: {fault.said}") for fault in FAULTS])
def test_a_fault_turns_its_check_red_and_the_advice_turns_it_green(world: World, fault: Fault) -> None:
    fault.break_(world)
    check = world.look()[fault.name]
    assert check.status is fault.status, check
    assert fault.said in check.found
    fault.mend(world)
    mended = world.look()[fault.name]
    assert mended.status is OK, mended


def test_a_whole_world_has_every_check_and_no_other(world: World) -> None:
    found = world.look()
    names = {fault.name for fault in FAULTS} - {here.ENGINE, f"notifier {NOTIFIER}"}
    assert found.keys() == names, "a project that builds nothing and names no notifier has no such checks"


def test_what_fails_to_be_looked_at_takes_no_other_check_along(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.look()
    monkeypatch.delenv("AIRFLOW_CONN_ASTRO_DEFAULT")
    after = world.look()
    lost = {here.CLI, here.CHECKSUM, here.name_clock(ASTRO)}
    assert {name for name in before if before[name].status is not after[name].status} <= lost
    assert {after[name].status for name in lost} == {NOT_KNOWN}
    assert "astro_default" in after[here.CLI].found


def test_outside_of_airflow_what_only_a_task_sees_is_not_known(world: World) -> None:
    found = world.look(is_inside=False)
    inner = {here.BASE_URL, here.SETTINGS, here.POOL, here.DAGS, here.WATCH, here.PASSES}
    assert {name for name, check in found.items() if "outside Airflow" in check.found} == inner
    assert {found[name].status for name in inner} == {NOT_KNOWN}


def test_nothing_is_written_anywhere(world: World) -> None:
    world.stage.forget_requests()
    before = {name: dict(store.values) for name, store in world.stage.stores.items()}
    world.look()
    assert not world.stage.list_requests("github", ("POST", "PUT", "PATCH", "DELETE"))
    assert not world.stage.list_requests("astro", ("POST", "PUT", "PATCH", "DELETE"))
    assert {name: store.values for name, store in world.stage.stores.items()} == before
