"""Reading Astro over real HTTP: pages, retries, and every way in which an answer can be wrong."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.errors import MalformedAnswerError, ObservationError, PermanentError, RateLimitError
from include.deploy_ops.core.model import DeployKind, DeploymentStatus, DeployStatus, Variable
from include.deploy_ops.core.naming import DeployNote, format_note
from include.deploy_ops.core.view.cost import count_units
from include.deploy_ops.hooks import conversation, patience
from include.deploy_ops.hooks.astro import api as astro_api
from include.deploy_ops.hooks.astro.api import AstroApiHook, AsyncAstroApi
from include.deploy_ops.hooks.astro.http import make_pace
from tests.worlds.doubles.astro import (
    TOKEN,
    Asked,
    AstroDouble,
    Reply,
    make_deploy,
    make_deployment,
    not_found,
    serve_list,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOYS = "deployments/cldep1/deploys"
NOTE = DeployNote("main", "a" * 40, "a" * 40, run_id="r", attempt=1, is_forced=False)
HTML = Reply(b"<html>Bad gateway</html>", headers={"Content-Type": "text/html"})


@pytest.fixture
def astro(monkeypatch: pytest.MonkeyPatch) -> Iterator[AstroDouble]:
    with AstroDouble() as double:
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", double.connection())
        yield double


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def hook(astro: AstroDouble, pauses: list[float]) -> Iterator[AstroApiHook]:
    assert astro.asked == []
    with AstroApiHook("astro_default", sleep=pauses.append) as opened:
        yield opened


def test_an_answer_says_how_far_our_clock_is_ahead(astro: AstroDouble, hook: AstroApiHook) -> None:
    assert hook.skew_s is None
    astro.say("deployments", serve_list("deployments", []))
    hook.list_deployments()
    assert hook.skew_s == pytest.approx(0.5, abs=5)


def test_deployment_is_read_in_our_own_values(astro: AstroDouble, hook: AstroApiHook) -> None:
    secret = {"key": "PASSWORD", "isSecret": True, "value": "never read"}
    airflow = "https://org.astronomer.run/d8fe2wmv?orgId=org_1"
    variables = [*make_deployment()["environmentVariables"], secret]
    astro.say(
        "deployments/cldep1",
        Reply(make_deployment(environmentVariables=variables, statusReason="resting", uiUrl=airflow)),
    )
    found = hook.get_deployment("cldep1")
    assert found is not None
    assert (found.id, found.name, found.status) == ("cldep1", "data-dev-x", DeploymentStatus.HEALTHY)
    assert (found.runtime_version, found.deployment_type, found.executor) == ("3.3-2", "STANDARD", "CELERY")
    assert (found.cloud_provider, found.region, found.is_development_mode) == ("AWS", "us-east-1", True)
    assert (found.image_tag, found.dag_tarball_version, found.desired_dag_tarball_version) == ("deploy-1", "v1", "v1")
    assert found.variables == (
        Variable("STAGE", is_secret=False, value="preview"),
        Variable("PASSWORD", is_secret=True),
    )
    assert found.contact_emails == ("a@b.example",)
    assert found.airflow_url == "http://org.astronomer.run/d8fe2wmv?orgId=org_1"
    assert found.astro_url == f"{astro.url}/clws/deployments/cldep1"  # Astro's `uiUrl` is Airflow's address
    assert found.created_at == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert (found.updated_at, found.status_reason) == ("2026-01-03T03:04:05.678Z", "resting")
    assert astro.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_what_astro_may_leave_out_is_empty(astro: AstroDouble, hook: AstroApiHook) -> None:
    optional: tuple[str, ...] = (
        "description",
        "astroRuntimeVersion",
        "executor",
        "cloudProvider",
        "region",
        "isDevelopmentMode",
        "type",
    )
    optional += ("dagTarballVersion", "desiredDagTarballVersion", "environmentVariables", "contactEmails")
    document = {key: value for key, value in make_deployment(status="NEW_ONE").items() if key not in optional}
    astro.say("deployments/cldep1", Reply(document))
    found = hook.get_deployment("cldep1")
    assert found is not None
    assert (found.description, found.executor, found.dag_tarball_version, found.variables) == ("", "", "", ())
    assert found.runtime_version == "3.3-2"  # the deprecated field
    assert found.status is DeploymentStatus.UNKNOWN


@pytest.mark.parametrize("queues", [[None, 7, {}, {"astroMachine": ["A5"], "minWorkerCount": 1}], "odd", None])
@pytest.mark.parametrize("size", ["SMALL", None, 7])
def test_what_an_estimate_needs_is_read_and_costs_a_deployment_nothing(
    astro: AstroDouble, hook: AstroApiHook, size: object, queues: object
) -> None:
    astro.say("deployments/cldep1", Reply(make_deployment(schedulerSize=size, workerQueues=queues)))
    found = hook.get_deployment("cldep1")
    assert found is not None
    assert found.problem == ""
    assert count_units(found.settings) == ({"SMALL": 1} if size == "SMALL" else {})


def test_list_asks_for_our_workspace_page_by_page(
    astro: AstroDouble, hook: AstroApiHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(astro_api, "PAGE_SIZE", 2)
    items = [make_deployment(id=f"cldep{number}", name=f"n{number}") for number in range(5)]
    astro.say("deployments", serve_list("deployments", items))
    assert [each.name for each in hook.list_deployments()] == ["n0", "n1", "n2", "n3", "n4"]
    assert [asked.query["offset"] for asked in astro.asked] == [["0"], ["2"], ["4"]]
    assert all(asked.query["workspaceIds"] == ["clws"] for asked in astro.asked)


def test_an_empty_workspace_is_empty(astro: AstroDouble, hook: AstroApiHook) -> None:
    astro.say("deployments", serve_list("deployments", []))
    assert hook.list_deployments() == ()


def page(items: list[Any], total: Any) -> Reply:
    return Reply({"deployments": items, "totalCount": total})


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([page([make_deployment()], 2)], "listed items twice from offset 1"),
        ([page([make_deployment()], 2), page([], 2)], "counts 2 items and listed 1"),
        ([page([make_deployment()], 0)], "counts 0 items and listed 1"),
        ([page([make_deployment()], 3), page([make_deployment(id="b")], 2)], "changed while it was read, from 3 to 2"),
        ([page([make_deployment(), make_deployment()], 2)], "listed items twice"),
        ([page([{}], 1)], "has no id"),
        ([page(["x"], 1)], "has no id"),
        ([page([make_deployment(workspaceId="other")], 1)], "of another workspace, other"),
        ([page([], "1")], "totalCount: "),
        ([Reply({"deployments": []})], "totalCount: Field required"),
        ([Reply({"totalCount": 0})], "has no list 'deployments'"),
        ([Reply([])], "malformed"),
        ([Reply(None)], "it is null"),
        ([not_found()], "does not exist; check organization_id"),
        ([Reply(b'{"deployments": [', 200)], "17 bytes that are not JSON"),
        ([HTML], "that are not JSON"),
        ([Reply(b"", 204)], "HTTP 204"),
        ([Reply(b"", 301, {"Location": "https://elsewhere.example/"})], "HTTP 301"),
        ([Reply({"message": "no"}, 400)], "HTTP 400"),
        ([Reply({"message": "no"}, 401)], "put a valid one there"),
        ([Reply({"message": "no"}, 403)], "may not read this"),
    ],
)
def test_a_listing_that_cannot_be_trusted_is_an_error_and_never_empty(
    astro: AstroDouble, hook: AstroApiHook, answers: list[Reply], said: str
) -> None:
    astro.say("deployments", *answers)
    with pytest.raises(ObservationError) as caught:
        hook.list_deployments()
    text = str(caught.value)
    assert said in text
    assert "GET /organizations/clorg/deployments?" in text
    assert "connection 'astro_default'" in text
    assert TOKEN not in text


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "name: "),
    ({"name": 7}, "name: "),
    ({"createdAt": "yesterday"}, "createdAt: "),
    ({"createdAt": "2026-01-02T03:04:05"}, "createdAt: "),
    ({"isDagDeployEnabled": "yes"}, "isDagDeployEnabled: "),
    ({"description": 7}, "description: "),
    ({"status": None}, "status: "),
    ({"executor": ["CELERY"]}, "executor: "),
    ({"workspaceId": None}, "workspaceId: "),
    ({"environmentVariables": [{"key": "K", "isSecret": "no", "value": "private"}]}, "environmentVariables.0.isSecret"),
    ({"contactEmails": "a@b.example"}, "contactEmails: "),
    ({"scalingSpec": []}, "scalingSpec: "),
]


@pytest.mark.parametrize(("changes", "said"), MALFORMED)
def test_a_malformed_deployment_costs_itself_alone_and_is_told_once(
    changes: dict[str, Any], said: str, astro: AstroDouble, hook: AstroApiHook, caplog: pytest.LogCaptureFixture
) -> None:
    items = [make_deployment(id="cl-a", name="a"), make_deployment(**changes), make_deployment(id="cl-b", name="b")]
    astro.say("deployments", serve_list("deployments", items))
    first, damaged, last = hook.list_deployments()
    assert (first.name, first.problem, last.name, last.problem) == ("a", "", "b", "")
    assert damaged.problem.startswith(said)
    assert damaged.id == "cldep1"
    assert damaged.name == ("" if "name" in changes else "data-dev-x")
    assert damaged.description == ("" if "description" in changes else "a preview")
    assert damaged.workspace_id == first.workspace_id
    assert (damaged.image_tag, damaged.created_at, damaged.status) == ("", None, DeploymentStatus.UNKNOWN)
    told = [each.getMessage() for each in caplog.records if "left alone" in each.getMessage()]
    assert len(told) == 1
    assert damaged.problem in told[0]
    assert "private" not in told[0] + damaged.problem


def test_many_malformed_deployments_are_told_in_one_line_whatever_they_are_called(
    astro: AstroDouble, hook: AstroApiHook, caplog: pytest.LogCaptureFixture
) -> None:
    items = [make_deployment(id=f"cl{number}", name=f"x\n{number}", createdAt=None) for number in range(40)]
    astro.say("deployments", serve_list("deployments", items))
    hook.list_deployments()
    (told,) = (each.getMessage() for each in caplog.records if "left alone" in each.getMessage())
    assert told.endswith("; 35 more")
    assert "\n" not in told


@pytest.mark.parametrize(("changes", "said"), MALFORMED)
def test_alone_a_malformed_deployment_is_an_error(
    changes: dict[str, Any], said: str, astro: AstroDouble, hook: AstroApiHook
) -> None:
    astro.say("deployments/cldep1", Reply(make_deployment(**changes)))
    with pytest.raises(MalformedAnswerError, match=f"of cldep1 is malformed: {said}.*connection 'astro_default'"):
        hook.get_deployment("cldep1")


NULLS = [
    "description",
    "astroRuntimeVersion",
    "dagTarballVersion",
    "desiredDagTarballVersion",
    "isDevelopmentMode",
    "executor",
    "cloudProvider",
    "region",
    "type",
    "environmentVariables",
    "contactEmails",
    "statusReason",
    "scalingSpec",
]


def test_null_where_astros_schema_says_optional_is_nothing_wrong(astro: AstroDouble, hook: AstroApiHook) -> None:
    items = [make_deployment(id=key, **{key: None}) for key in NULLS]
    override = {"isHibernating": None, "isActive": None, "overrideUntil": None}
    for number, spec in enumerate([{}, {"hibernationSpec": None}, {"hibernationSpec": {"override": override}}]):
        items.append(make_deployment(id=f"spec-{number}", scalingSpec=spec))
    items.append(make_deployment(id="odd", status="NEW_ONE", type="NEW_ONE", executor="NEW_ONE"))
    items.append(make_deployment(id="valueless", environmentVariables=[{"key": "K", "isSecret": False}]))
    astro.say("deployments", serve_list("deployments", items))
    assert [each.problem for each in hook.list_deployments()] == [""] * len(items)


def test_malformed_answer_keeps_variables_out_of_the_error(astro: AstroDouble, hook: AstroApiHook) -> None:
    wrong = make_deployment(environmentVariables=[{"key": "K", "isSecret": "no", "value": "private"}])
    astro.say("deployments/cldep1", Reply(wrong))
    with pytest.raises(ObservationError, match=r"environmentVariables\.0\.isSecret") as caught:
        hook.get_deployment("cldep1")
    assert "private" not in str(caught.value)


def test_only_astros_own_404_means_gone(astro: AstroDouble, hook: AstroApiHook) -> None:
    assert hook.get_deployment("clgone") is None
    for reply in (Reply(b"<html>", 404), Reply({"message": "no route"}, 404), Reply([], 404)):
        astro.say("deployments/clgone", reply)
        with pytest.raises(ObservationError):
            hook.get_deployment("clgone")


def test_answer_about_another_deployment_is_an_error(astro: AstroDouble, hook: AstroApiHook) -> None:
    astro.say("deployments/clother", Reply(make_deployment()))
    with pytest.raises(ObservationError, match="another Deployment, cldep1"):
        hook.get_deployment("clother")


def test_an_empty_id_is_never_asked_for(astro: AstroDouble, hook: AstroApiHook) -> None:
    with pytest.raises(PermanentError, match="empty id"):
        hook.get_deployment("")
    assert astro.asked == []


def test_an_id_is_one_word_of_the_path(astro: AstroDouble, hook: AstroApiHook) -> None:
    assert hook.get_deployment("../x?y#z") is None
    assert astro.asked[0].path.endswith("/deployments/..%2Fx%3Fy%23z")


@pytest.mark.parametrize(
    "outage",
    [
        Reply({"message": "busy"}, 500),
        Reply(b"<html>", 502),
        Reply({}, 503, {"Retry-After": "1"}),
        Reply({}, 429),
        Reply(is_dropped=True),
        Reply(make_deployment(), missing_bytes=9),
    ],
    ids=["500", "502 html", "503", "429", "dropped", "truncated"],
)
def test_a_short_outage_is_sat_out(astro: AstroDouble, hook: AstroApiHook, pauses: list[float], outage: Reply) -> None:
    astro.say("deployments/cldep1", outage, outage, Reply(make_deployment()))
    assert hook.get_deployment("cldep1") is not None
    assert len(pauses) == 2
    assert 0.5 <= pauses[0] <= pauses[1] <= 2


@pytest.mark.parametrize("outage", [Reply({"message": "busy"}, 500), Reply(is_dropped=True), Reply({}, 429)])
def test_a_long_outage_is_an_error(astro: AstroDouble, hook: AstroApiHook, pauses: list[float], outage: Reply) -> None:
    astro.say("deployments", outage)
    with pytest.raises(ObservationError, match=r"no usable answer in 4 tries.*'astro_default'"):
        hook.list_deployments()
    assert (len(astro.asked), len(pauses)) == (4, 3)


def test_unreachable_astro_is_an_error(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    with AstroDouble() as double:
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", double.connection())
    with pytest.raises(ObservationError, match="ConnectError"):
        AstroApiHook("astro_default", sleep=pauses.append).list_deployments()


def test_a_silent_astro_is_an_error(astro: AstroDouble, hook: AstroApiHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "_READ_TIMEOUT_S", 0.05)
    is_over = threading.Event()

    def keep_silent(_: Asked) -> Reply:
        is_over.wait(10)
        return Reply(is_dropped=True)

    astro.say("deployments", keep_silent)
    with pytest.raises(ObservationError, match="no usable answer in 4 tries: ReadTimeout"):
        hook.list_deployments()
    is_over.set()


def test_an_endless_answer_is_an_error(astro: AstroDouble, hook: AstroApiHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ANSWER_BYTES_MAX", 1000)
    astro.say("deployments", Reply(b" " * 2000))
    with pytest.raises(ObservationError, match="longer than 1000 bytes"):
        hook.list_deployments()


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(astro: AstroDouble, hook: AstroApiHook, pauses: list[float], status: int) -> None:
    astro.say("deployments/cldep1", Reply({}, status, {"Retry-After": "60"}), Reply(make_deployment()))
    assert hook.get_deployment("cldep1") is not None
    assert pauses == [60]


def test_retry_after_may_be_a_time(astro: AstroDouble, hook: AstroApiHook, pauses: list[float]) -> None:
    until = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    astro.say("deployments/cldep1", Reply({}, 429, {"Retry-After": until}), Reply(make_deployment()))
    assert hook.get_deployment("cldep1") is not None
    assert 25 < pauses[0] <= 30


def test_a_longer_pause_is_left_to_the_caller(astro: AstroDouble, hook: AstroApiHook, pauses: list[float]) -> None:
    astro.say("deployments", Reply({}, 429, {"Retry-After": "61"}))
    with pytest.raises(RateLimitError) as caught:
        hook.list_deployments()
    assert (caught.value.retry_after_s, pauses) == (61, [])


def test_pauses_that_astro_asks_for_do_not_add_up(astro: AstroDouble, hook: AstroApiHook, pauses: list[float]) -> None:
    astro.say("deployments", Reply({}, 429, {"Retry-After": "40"}))
    with pytest.raises(RateLimitError):
        hook.list_deployments()
    assert pauses == [40]


def test_requests_stay_below_what_astro_allows() -> None:
    pace = make_pace()
    waits = [pace.reserve_s() for _ in range(25)]
    assert waits[0] == 0
    assert waits[-1] > 24 / 25  # the 25th of a second starts near its end


def test_records_are_the_newest_first_in_any_order(astro: AstroDouble, hook: AstroApiHook) -> None:
    records = [make_deploy(number) for number in (2, 1, 3)]
    astro.say(DEPLOYS, serve_list("deploys", records))
    assert [each.id for each in hook.list_deploys("cldep1")] == ["cldeploy3", "cldeploy2", "cldeploy1"]


@pytest.mark.parametrize("is_newest_first", [True, False])
def test_a_limit_trusts_no_order(astro: AstroDouble, hook: AstroApiHook, *, is_newest_first: bool) -> None:
    records = sorted((make_deploy(n) for n in range(100)), key=lambda each: str(each["createdAt"]))
    astro.say(DEPLOYS, serve_list("deploys", records[::-1] if is_newest_first else records))
    assert [each.id for each in hook.list_deploys("cldep1", limit=2)] == ["cldeploy99", "cldeploy98"]
    assert len(astro.asked) == (1 if is_newest_first else 2)


def test_record_is_read_in_our_own_values(astro: AstroDouble, hook: AstroApiHook) -> None:
    record = make_deploy(
        7, type="IMAGE_ONLY", git={"commitSha": "a" * 40, "branch": "main"}, rollbackFromId="cldeploy1"
    )
    astro.say(DEPLOYS, serve_list("deploys", [record]))
    (found,) = hook.list_deploys("cldep1")
    assert (found.kind, found.status) == (DeployKind.IMAGE_ONLY, DeployStatus.DEPLOYED)
    assert (found.git_commit, found.rollback_from_id, found.dag_tarball_version) == ("a" * 40, "cldeploy1", "v1")


@pytest.mark.parametrize(
    ("subject", "person"),
    [
        ({"id": "u1", "subjectType": "USER", "fullName": "Jo Doe", "username": "jo@acme.example"}, "Jo Doe"),
        ({"id": "t1", "subjectType": "SERVICEKEY", "apiTokenName": "ci"}, "ci"),
        ({"id": "u1", "username": "jo@acme.example"}, ""),
        ({"fullName": 7}, ""),
        ("Jo Doe", ""),
        (None, ""),
    ],
)
def test_who_made_a_record_is_told_by_name_and_takes_nothing_from_it_where_it_is_malformed(
    astro: AstroDouble, hook: AstroApiHook, subject: Any, person: str
) -> None:
    astro.say(DEPLOYS, serve_list("deploys", [make_deploy(7, createdBySubject=subject)]))
    (found,) = hook.list_deploys("cldep1")
    assert (found.person, found.status) == (person, DeployStatus.DEPLOYED)


def test_unknown_status_and_type_are_tolerated_and_never_trusted(astro: AstroDouble, hook: AstroApiHook) -> None:
    record = make_deploy(7, type="NOVEL", status="NOVEL", git={"commitSha": "a" * 40})
    astro.say(DEPLOYS, serve_list("deploys", [record]))
    (found,) = hook.list_deploys("cldep1")
    assert found.status is DeployStatus.UNKNOWN
    assert found.kind.has_image
    assert found.kind.has_dags
    assert found.git_commit is None


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"bundleMountPath": "/usr/local/airflow/dbt"}, DeployKind.BUNDLE),
        ({"type": "DAG", "dagBundleName": "team_b"}, DeployKind.BUNDLE),
        ({"bundleMountPath": "", "dagBundleName": ""}, DeployKind.DAG_ONLY),
        ({"dagBundleName": "dags", "description": format_note(NOTE)}, DeployKind.DAG_ONLY),
    ],
)
def test_what_lies_beside_image_and_dags_is_no_deploy_of_them(
    changes: dict[str, str], kind: DeployKind, astro: AstroDouble, hook: AstroApiHook
) -> None:
    astro.say(DEPLOYS, serve_list("deploys", [make_deploy(1, **changes)]))
    assert [each.kind for each in hook.list_deploys("cldep1")] == [kind]


NOTHING = DeployKind.IMAGE_AND_DAG, DeployStatus.DEPLOYED, "a" * 40, format_note(NOTE), "deploy-1", "v1", None


@pytest.mark.parametrize(
    ("changes", "place", "read"),
    [
        ({"type": None}, 0, DeployKind.IMAGE_AND_DAG),
        ({"status": 7}, 1, DeployStatus.UNKNOWN),
        ({"git": "a"}, 2, None),
        ({"git": {"commitSha": 7}}, 2, None),
        ({"description": 7}, 3, ""),
        ({"imageTag": None}, 4, ""),
        ({"dagTarballVersion": 7}, 5, ""),
        ({"rollbackFromId": 7}, 6, "unknown"),
        ({"bundleMountPath": ["/dbt"]}, 0, DeployKind.IMAGE_AND_DAG),
    ],
)
def test_of_a_malformed_record_only_what_is_malformed_is_unknown(
    changes: dict[str, Any], place: int, read: Any, astro: AstroDouble, hook: AstroApiHook
) -> None:
    whole = make_deploy(1, type="IMAGE_AND_DAG", git={"commitSha": "a" * 40}, description=format_note(NOTE))
    astro.say(DEPLOYS, serve_list("deploys", [whole | changes, make_deploy(2)]))
    newest, found = hook.list_deploys("cldep1")
    assert newest.id == "cldeploy2"
    shown: tuple[Any, ...] = (found.kind, found.status, found.git_commit, found.description)
    shown += (found.image_tag, found.dag_tarball_version, found.rollback_from_id)
    expected: list[Any] = list(NOTHING)
    expected[place] = read
    expected[2] = None if changes.get("type", 0) is None else expected[2]  # as of every type that nobody knows
    assert list(shown) == expected


@pytest.mark.parametrize("changes", [{"createdAt": None}, {"createdAt": "yesterday"}, {"deploymentId": 7}])
def test_a_record_that_has_no_place_among_the_others_is_an_error(
    changes: dict[str, Any], astro: AstroDouble, hook: AstroApiHook
) -> None:
    astro.say(DEPLOYS, serve_list("deploys", [make_deploy(1, **changes), make_deploy(2)]))
    with pytest.raises(MalformedAnswerError, match="of cldeploy1 is malformed"):
        hook.list_deploys("cldep1")


def test_record_of_another_deployment_is_an_error(astro: AstroDouble, hook: AstroApiHook) -> None:
    astro.say(DEPLOYS, serve_list("deploys", [make_deploy(1, deploymentId="other")]))
    with pytest.raises(ObservationError, match="of another Deployment, other"):
        hook.list_deploys("cldep1")


def test_workspace_name_is_looked_up_by_id(astro: AstroDouble, hook: AstroApiHook) -> None:
    workspaces = [{"id": "clother", "name": "Other"}, {"id": "clws", "name": "Data Platform"}]
    astro.say("workspaces", serve_list("workspaces", workspaces))
    assert hook.find_workspace_name() == "Data Platform"
    astro.say("workspaces", serve_list("workspaces", workspaces[:1]))
    with pytest.raises(ObservationError, match="sees no workspace clws"):
        hook.find_workspace_name()


def test_options_are_asked_for_one_kind_of_deployment(astro: AstroDouble, hook: AstroApiHook) -> None:
    options = {"runtimeReleases": [], "executors": ["CELERY"]}
    astro.say("deployment-options", Reply(options))
    assert hook.get_deployment_options("STANDARD", "AWS") == options
    assert astro.asked[-1].query == {"cloudProvider": ["AWS"], "deploymentType": ["STANDARD"]}
    hook.get_deployment_options("DEDICATED", "")
    assert astro.asked[-1].query == {"deploymentType": ["DEDICATED"]}
    astro.say("deployment-options", Reply({"executors": []}))
    with pytest.raises(ObservationError, match="runtimeReleases"):
        hook.get_deployment_options("STANDARD", "AWS")


def test_hook_connects_at_its_first_read_and_again_after_close(
    astro: AstroDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = AstroApiHook("astro_default")
    hook.close()
    astro.say("deployments/cldep1", Reply(make_deployment()))
    assert hook.get_deployment("cldep1")
    monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", astro.connection(password="another-token"))  # noqa: S106
    hook.close()
    assert hook.get_deployment("cldep1")
    assert [asked.headers["authorization"] for asked in astro.asked] == [f"Bearer {TOKEN}", "Bearer another-token"]
    hook.close()


def test_awaited_reads_are_the_same(astro: AstroDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)
    astro.say("deployments/cldep1", Reply(is_dropped=True), Reply(make_deployment()))
    astro.say(DEPLOYS, serve_list("deploys", [make_deploy(1), make_deploy(2)]))

    async def read() -> tuple[Any, Any, Any]:
        async with AsyncAstroApi("astro_default") as api:
            return (
                await api.get_deployment("cldep1"),
                await api.get_deployment("clgone"),
                await api.list_deploys("cldep1", limit=1),
            )

    found, gone, (newest,) = asyncio.run(read())
    assert (found.id, gone, newest.id) == ("cldep1", None, "cldeploy2")


def test_awaited_reads_raise_the_same(astro: AstroDouble) -> None:
    astro.say("deployments/cldep1", HTML)

    async def read() -> None:
        async with AsyncAstroApi("astro_default") as api:
            await api.get_deployment("cldep1")

    with pytest.raises(ObservationError, match=r"not JSON.*'astro_default'"):
        asyncio.run(read())
