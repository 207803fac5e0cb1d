"""The control face, /sandbox: reset, look, set and plant. What it controls does the work."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox import clock
from sandbox.github.rules import METHODS, Bypass, Kind, Method
from sandbox.settings import Settings

if TYPE_CHECKING:
    from sandbox.faults import FaultPlan
    from sandbox.journal import Journal
    from sandbox.world import World

_AUTHS = ("anonymous", "private")
_SETTINGS = TypeAdapter(Settings)


class _NewName(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")


class _NewRepository(_NewName):
    has_deployments: bool = True


class _Draft(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    draft: bool


class _Check(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    commit: str
    name: str = Field(min_length=1)
    state: Literal[
        "queued",
        "in_progress",
        "waiting",
        "requested",
        "pending",
        "success",
        "failure",
        "neutral",
        "cancelled",
        "skipped",
        "timed_out",
        "action_required",
    ]


class _RequiredChecks(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    branch: str
    checks: list[str]


class _EnvironmentObject(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["CONNECTION", "ENVIRONMENT_VARIABLE", "AIRFLOW_VARIABLE", "METRICS_EXPORT"]
    key: str = Field(min_length=1)
    is_linked: bool


class _RepositorySettings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    archived: bool | None = None
    allow_merge_commit: bool | None = None


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    branch: str
    rules: list[Kind]
    methods: list[Method] = list(METHODS)
    bypass: Bypass = "never"


class _Grant(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    permission: Literal["admin", "write", "read", "none"]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    user: str = Field(min_length=1)
    body: str
    is_by_bot: bool = False
    app_id: int | None = None
    age_s: float = Field(default=0.0, ge=0)
    has_eyes: bool = False


_Endpoint = Callable[[Request], Awaitable[Response]]


class ControlError(Exception):
    """A request to the control face that cannot be done; the text says why and what would do."""


class Control:
    """What a demo, a test or a person does to the sandbox from outside."""

    def __init__(self, world: World, journal: Journal, faults: FaultPlan) -> None:
        self._world = world
        self._journal = journal
        self._faults = faults

    def routes(self) -> list[BaseRoute]:
        """Return the routes below /sandbox; every answer is a JSON object, and an error is `{"error": …}`."""
        return [
            _route("GET", "/health", self._tell_health),
            _route("POST", "/reset", self._reset),
            _route("GET", "/requests", self._list_requests),
            _route("DELETE", "/requests", self._clear_requests),
            _route("GET", "/deployments/{id}/files", self._list_files),
            _route("GET", "/deployments/{id}/airflow", self._tell_airflow),
            _route("POST", "/repositories", self._add),
            _route("POST", "/repositories/{owner}/{name}", self._rename),
            _route("POST", "/repositories/{owner}/{name}/pulls/{number:int}", self._set_draft),
            _route("POST", "/repositories/{owner}/{name}/checks", self._set_check),
            _route("POST", "/repositories/{owner}/{name}/required-checks", self._require_checks),
            _route("POST", "/repositories/{owner}/{name}/rules", self._set_rules),
            _route("POST", "/repositories/{owner}/{name}/settings", self._set_repository),
            _route("POST", "/repositories/{owner}/{name}/pulls/{number:int}/comments", self._say),
            _route("POST", "/repositories/{owner}/{name}/collaborators/{login}", self._grant),
            _route("POST", "/environment-objects", self._put_environment_object),
            _route("GET", "/ci", self._list_builds),
            _route("GET", "/settings", self._get_settings),
            _route("POST", "/settings", self._change_settings),
            _route("GET", "/faults", self._list_faults),
            _route("POST", "/faults", self._plant_fault),
            _route("DELETE", "/faults", self._clear_faults),
            _route("GET", "/faults/cli", self._take_cli_fault),
        ]

    async def _tell_health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _reset(self, request: Request) -> Response:
        astro = request.query_params.get("astro")
        if astro not in {None, "empty"}:
            raise ControlError(f"astro is {astro!r}; leave it out for the seeded Deployments, or write empty for none")
        self._world.reset(is_astro_empty=astro == "empty")
        clock.set_ahead(self._world.settings.clock_ahead_s)
        self._journal.clear()
        self._faults.clear()
        return Response(status_code=204)

    async def _list_requests(self, _: Request) -> Response:
        return JSONResponse({"requests": self._journal.to_json()})

    async def _clear_requests(self, _: Request) -> Response:
        self._journal.clear()
        return Response(status_code=204)

    async def _list_files(self, request: Request) -> Response:
        deployment_id = request.path_params["id"]
        try:
            files = self._world.astro.list_files(deployment_id)
        except KeyError:
            return _refuse(404, f"there is no Deployment {deployment_id!r}")
        return JSONResponse({"files": [{"path": path, "sha256": sha256} for path, sha256 in files]})

    async def _tell_airflow(self, request: Request) -> Response:
        airflow = self._world.airflows.find(request.path_params["id"])
        if airflow is None:
            return _refuse(404, f"there is no Deployment {request.path_params['id']!r}")
        return JSONResponse({"failure": airflow.failure, "parsed": airflow.parsed_at})

    async def _add(self, request: Request) -> Response:
        wanted = _NewRepository.model_validate(await _read_object(request))
        if not self._world.add_repository(wanted.name, has_deployments=wanted.has_deployments):
            return _refuse(409, f"there is a repository {wanted.name!r} already")
        return Response(status_code=201)

    async def _rename(self, request: Request) -> Response:
        full_name, wanted = _name_repository(request), _NewName.model_validate(await _read_object(request))
        if not self._world.github.rename(full_name, wanted.name):
            return _refuse(404, f"there is no repository {full_name!r}")
        return Response(status_code=204)

    async def _set_draft(self, request: Request) -> Response:
        full_name, number = _name_repository(request), request.path_params["number"]
        wanted = _Draft.model_validate(await _read_object(request))
        if not self._world.github.set_draft(full_name, number, is_draft=wanted.draft):
            return _refuse(404, f"{full_name!r} has no open pull request {number}")
        return Response(status_code=204)

    async def _set_check(self, request: Request) -> Response:
        full_name, wanted = _name_repository(request), _Check.model_validate(await _read_object(request))
        if not self._world.github.set_check(full_name, wanted.commit, wanted.name, wanted.state):
            return _refuse(404, f"{full_name!r} has no commit {wanted.commit!r}")
        return Response(status_code=204)

    async def _require_checks(self, request: Request) -> Response:
        full_name, wanted = _name_repository(request), _RequiredChecks.model_validate(await _read_object(request))
        if not self._world.github.require_checks(full_name, wanted.branch, tuple(wanted.checks)):
            return _refuse(404, f"there is no repository {full_name!r}")
        return Response(status_code=204)

    async def _set_rules(self, request: Request) -> Response:
        full_name, wanted = _name_repository(request), _Rules.model_validate(await _read_object(request))
        methods, kinds = tuple(wanted.methods), tuple(wanted.rules)
        if not self._world.github.set_rules(full_name, wanted.branch, kinds, methods=methods, bypass=wanted.bypass):
            return _refuse(404, f"there is no repository {full_name!r}")
        return Response(status_code=204)

    async def _set_repository(self, request: Request) -> Response:
        full_name, wanted = _name_repository(request), _RepositorySettings.model_validate(await _read_object(request))
        if not self._world.github.set_repository(full_name, **wanted.model_dump()):
            return _refuse(404, f"there is no repository {full_name!r}")
        return Response(status_code=204)

    async def _say(self, request: Request) -> Response:
        full_name, number = _name_repository(request), request.path_params["number"]
        said = _Said.model_validate(await _read_object(request)).model_dump()
        comment_id = self._world.github.say(full_name, number, said.pop("user"), said.pop("body"), **said)
        if not comment_id:
            return _refuse(404, f"{full_name!r} has no pull request {number}")
        return JSONResponse({"id": comment_id}, 201)

    async def _grant(self, request: Request) -> Response:
        full_name, login = _name_repository(request), request.path_params["login"]
        wanted = _Grant.model_validate(await _read_object(request))
        if not self._world.github.grant(full_name, login, wanted.permission):
            return _refuse(404, f"there is no repository {full_name!r}")
        return Response(status_code=204)

    async def _put_environment_object(self, request: Request) -> Response:
        wanted = _EnvironmentObject.model_validate(await _read_object(request))
        self._world.astro.environment.put(wanted.kind, wanted.key, is_linked=wanted.is_linked)
        return Response(status_code=204)

    async def _list_builds(self, _: Request) -> Response:
        return JSONResponse({"builds": self._world.ci.to_json()})

    async def _get_settings(self, _: Request) -> Response:
        return JSONResponse(asdict(self._world.settings))

    async def _change_settings(self, request: Request) -> Response:
        change_settings(self._world.settings, await _read_object(request))
        clock.set_ahead(self._world.settings.clock_ahead_s)
        return await self._get_settings(request)

    async def _list_faults(self, _: Request) -> Response:
        return JSONResponse({"faults": self._faults.to_json()})

    async def _plant_fault(self, request: Request) -> Response:
        return JSONResponse(self._faults.plant(await _read_object(request)), 201)

    async def _clear_faults(self, _: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    async def _take_cli_fault(self, request: Request) -> Response:
        command = request.query_params.get("command")
        if command is None:
            raise ControlError("say which command asks: /sandbox/faults/cli?command=deploy")
        fault = self._faults.take_cli(command)
        return JSONResponse({"fault": fault and fault.describe_effect()})


def change_settings(settings: Settings, changes: dict[str, Any]) -> None:
    """Set what the changes name, all of it or nothing.

    :raises ControlError: a key is unknown or a value impossible.
    :raises pydantic.ValidationError: a value has the wrong type.
    """
    known = asdict(settings)
    if unknown := sorted(changes.keys() - known):
        raise ControlError(f"unknown setting {', '.join(unknown)}; known are {', '.join(known)}")
    wanted = asdict(_SETTINGS.validate_python({**known, **changes}))
    if wanted["registry_auth"] not in _AUTHS:
        raise ControlError(f"registry_auth is {wanted['registry_auth']!r}; expected one of {', '.join(_AUTHS)}")
    for name, value in wanted.items():
        is_signed = name == "clock_ahead_s"
        if isinstance(value, int | float) and not (0 <= (abs(value) if is_signed else value) < float("inf")):
            raise ControlError(f"{name} is {value}; expected {'a number' if is_signed else '0 or more'}")
    for name, value in wanted.items():
        setattr(settings, name, value)


def _route(method: str, path: str, endpoint: _Endpoint) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ControlError as error:
            return _refuse(400, str(error))
        except ValidationError as error:
            return _refuse(400, _describe_problems(error))

    return Route(path, answer, methods=[method])


def _name_repository(request: Request) -> str:
    return "{owner}/{name}".format_map(request.path_params)


def _refuse(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


def _describe_problems(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'the object'}: {problem['msg']}" for problem in problems)


async def _read_object(request: Request) -> dict[str, Any]:
    try:
        document = json.loads(await request.body())
    except ValueError as error:
        raise ControlError(f"the body is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ControlError(f"the body is a JSON {type(document).__name__}; expected an object")
    return document
