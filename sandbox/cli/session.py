"""What happens before a command's own work: the token, the organization and the workspace."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.cli.api import Api
from sandbox.cli.errors import CliError, PanicError
from sandbox.cli.terminal import say
from sandbox.cli.token import Claims, read_claims

if TYPE_CHECKING:
    from sandbox.cli.config import Config


@dataclass
class Session:
    """An opened command: whom it calls, and for whom."""

    config: Config
    api: Api
    organization: str
    workspace: str
    has_token: bool

    @property
    def path(self) -> str:
        """The organization's path in the API."""
        return f"/organizations/{self.organization}"

    def resolve_workspace(self, flag: str, prefix: str) -> str:
        """Return the workspace of the flag, else of the context.

        :raises CliError: if neither names one; `prefix` begins its text.
        """
        workspace = flag or self.workspace
        if not workspace:
            raise CliError(
                f"{prefix}failed to get current Workspace: current workspace context not set, "
                "you can switch to a workspace with \n\tastro workspace switch WORKSPACEID"
            )
        return workspace


def open_session(config: Config, *, hides_token_line: bool) -> Session:
    """Return the session of this process's token, else of the stored one.

    :raises CliError: if the token is malformed or expired.
    """
    token = os.environ.get("ASTRO_API_TOKEN", "")
    session = Session(
        config,
        Api(config.setting("local.core"), f"Bearer {token}" if token else config.context("token")),
        config.context("organization"),
        config.context("workspace"),
        has_token=bool(token),
    )
    if token:
        if not hides_token_line:
            say("Using an Astro API Token")
        _set_up(session, read_claims(token))
    return session


def _set_up(session: Session, claims: Claims) -> None:
    """Take organization and workspace from the token, and store them.

    A token without permissions, even an expired one, and a failed call change nothing, and no word is said: so does
    the real CLI.

    :raises CliError: if the token is expired.
    """
    now_s = int(time.time())
    session.config.save_context({"token": session.api.authorization, "expiresin": str(2 * now_s)})
    if not claims.permissions:
        return
    if claims.is_expired:
        say(f"The given API Token {claims.token_id} has expired ")
        raise CliError("API Token is expired", has_usage=True)
    try:
        organizations = session.api.list_all("/organizations", "organizations", 100)
    except CliError:
        return
    session.organization = claims.find("organizationId")
    session.workspace = claims.find("workspaceId") or session.workspace
    session.config.save_context(
        {
            "workspace": session.workspace,
            "organization": session.organization,
            "organization_product": _read_product(organizations),
        }
    )


def _read_product(organizations: list[dict[str, Any]]) -> str:
    if not organizations or organizations[0].get("product") is None:
        raise PanicError
    return str(organizations[0]["product"])
