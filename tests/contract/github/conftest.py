"""What the contract tests stand on: a GitHub in this process, a whole sandbox beside it, and what the product asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from requests import Session

from tests.contract.github.description import API_PATH
from tests.contract.openapi.exchange import Exchange, catch
from tests.sandbox.github.conftest import hub, judge, running
from tests.unit.hooks.github.conftest import private_key
from tests.worlds.stages.fixtures import author, shared_sandbox, stage

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

__all__ = ["author", "hub", "judge", "private_key", "running", "shared_sandbox", "stage"]

REGISTRY_PATH = "/v2/"  # the other far side to which the product speaks by `requests`


@dataclass
class Outgoing:
    """What the product asked GitHub's API, and what it was answered, as it went over HTTP."""

    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def asked(self) -> set[str]:
        """Give method and path with query of each request."""
        return {f"{each.method} {each.path}{'?' if each.query else ''}{each.query}" for each in self.exchanges}


@pytest.fixture
def outgoing(monkeypatch: pytest.MonkeyPatch) -> Outgoing:
    """Catch whatever leaves through `requests`, on which PyGithub and the provider's hook stand."""
    caught, send = Outgoing(), Session.send

    def send_and_catch(session: Session, request: PreparedRequest, **options: Any) -> Response:
        response = send(session, request, **options)
        if not urlsplit(str(request.url)).path.startswith(REGISTRY_PATH):
            caught.exchanges.append(catch(request, response, API_PATH))
        return response

    monkeypatch.setattr(Session, "send", send_and_catch)
    return caught
