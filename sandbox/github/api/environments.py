"""GitHub's environments: each begins with its first deployment, and stays until somebody deletes it."""

from __future__ import annotations

from sandbox.github.records import Environment
from sandbox.github.rest import Answer, Call, Handler, build_not_found
from sandbox.github.shapes.records import build_environment


def list_environments(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/environments."""
    repository = call.repository
    found = [build_environment(repository.urls, each) for each in repository.environments.values()]
    shown = found[call.offset : call.offset + call.per_page]
    return Answer({"total_count": len(found), "environments": shown}, total=len(found))


def show_environment(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/environments/{environment_name}."""
    return Answer(build_environment(call.repository.urls, _require_environment(call)))


def delete_environment(call: Call) -> Answer:
    """DELETE /repos/{owner}/{repo}/environments/{environment_name}; the deployments to it stay in the listing."""
    del call.repository.environments[_require_environment(call).name]
    return Answer(status=204)


def _require_environment(call: Call) -> Environment:
    environment = call.repository.environments.get(call.path["environment_name"])
    if environment is None:
        raise build_not_found()
    return environment


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/environments", list_environments),
    ("GET", "/environments/{environment_name:path}", show_environment),
    ("DELETE", "/environments/{environment_name:path}", delete_environment),
]
