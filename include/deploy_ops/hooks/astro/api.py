"""What we read of one Astro workspace, in our own values: Deployments, their deploy records, what Astro offers.

Changes nothing in Astro but the tokens that it mints and deletes, and decides nothing. How a request is sent and
checked is `http`'s job, what an answer means is `answers`'.
"""

from __future__ import annotations

import itertools
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar
from urllib.parse import quote

from airflow.sdk import BaseHook
from airflow.sdk.log import amask_secret, mask_secret

from include.deploy_ops.core.errors import (
    AbsentError,
    DeployOpsError,
    ObservationError,
    PermanentError,
    WriteRefusedError,
)
from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.hooks.astro.answers import (
    MintedToken,
    Page,
    doubt,
    identify_object,
    parse_cluster,
    parse_deploy,
    parse_deployment,
    parse_id,
    parse_linked_object,
    parse_listed_deployment,
    parse_listed_token,
    parse_minted_token,
    parse_options,
    parse_organization,
    parse_page,
    parse_token_record,
    parse_workspace_name,
)
from include.deploy_ops.hooks.astro.connection import AstroConnection, aread_astro_connection, read_astro_connection
from include.deploy_ops.hooks.astro.http import ask, change, make_pace, share_pace
from include.deploy_ops.hooks.conversation import Ask, AsyncClient, Client, Conversation, ahold, hold
from include.deploy_ops.process.redaction import redact_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from include.deploy_ops.core.doctor.astro_facts import Cluster, LinkedObject, Organization, TokenRecord
    from include.deploy_ops.core.model import Deploy, Deployment

ITEMS_MAX = 100_000
"""Of one list: far more than any workspace has, and few enough to be read."""

DOUBTS_TOLD_MAX = 5
"""Malformed Deployments of a list that the log names."""

MINTED_NAME = "deploy-ops verify"
"""How a minted token's name begins, by which a person finds one that a crash left."""

PAGE_SIZE = 1000
"""The largest page that Astro documents (OpenAPI description of the platform API)."""

T = TypeVar("T")
Identify: TypeAlias = "Callable[[Ask, Any], str]"
"""Tells an item of a list from all others."""

log = logging.getLogger(__name__)


class AstroApiHook(BaseHook):
    """Reads one Astro workspace through an Airflow connection, which is looked up at the first read.

    Every method raises `ObservationError` when Astro gives no answer, refuses or answers malformed (of one thing in an
    answer `MalformedAnswerError`), and `RateLimitError` when it asks for a longer pause than a minute; a failure is
    never an empty result.

    :param astro_conn_id: the Airflow connection's id; `connection` says what it holds.
    :param sleep: called with the seconds to wait before a request is repeated.
    """

    def __init__(self, astro_conn_id: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__()
        self.astro_conn_id = astro_conn_id
        self._sleep = sleep
        self._pace = make_pace()
        self._known: AstroConnection | None = None
        self._opened: tuple[AstroConnection, Client] | None = None

    @property
    def connection(self) -> AstroConnection:
        """What the Airflow connection holds, as it was read first."""
        if self._known is None:
            self._known = read_astro_connection(self.astro_conn_id)
        return self._known

    def get_conn(self) -> Client:
        """Return the HTTP client, made at the first call; it carries the token."""
        return self._open()[1]

    def close(self) -> None:
        """Close the connections; a later read opens new ones and reads the Airflow connection again."""
        if self._opened is not None:
            self._opened[1].close()
        self._known = self._opened = None

    @property
    def skew_s(self) -> float | None:
        """By how many seconds our clock is ahead of Astro's as of the newest answer; None where that said no time."""
        return self._opened[1].skew_s if self._opened else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def list_deployments(self) -> tuple[Deployment, ...]:
        """Return every Deployment of the workspace, as Astro orders them; malformed ones have a `problem`."""
        found = self._hold(ask_deployments(self._open()[0]))
        if doubts := [each.doubt for each in found if each.problem]:
            more = len(doubts) - DOUBTS_TOLD_MAX
            told = [*doubts[:DOUBTS_TOLD_MAX], *([f"{more} more"] if more > 0 else [])]
            log.warning("%s", reveal(" ".join("; ".join(told).split())))  # anybody in the workspace chose the names
        return found

    def get_deployment(self, deployment_id: str) -> Deployment | None:
        """Return a Deployment; None only if Astro itself answers that there is none of this id."""
        return self._hold(ask_deployment(self._open()[0], deployment_id))

    def list_deploys(self, deployment_id: str, limit: int | None = None) -> tuple[Deploy, ...]:
        """Return a Deployment's records, the newest first: all of them, or `limit` (1 to 1000)."""
        return self._hold(ask_deploys(self._open()[0], deployment_id, limit))

    def find_workspace_name(self) -> str:
        """Return the name of the connection's workspace, by which a Deployment file names it."""
        return self._hold(ask_workspace_name(self._open()[0]))

    def get_deployment_options(self, deployment_type: str, cloud_provider: str) -> dict[str, Any]:
        """Return what Astro offers such Deployments: runtime releases, executors, machines, limits (DeploymentOptions).

        :param deployment_type: STANDARD, DEDICATED or HYBRID.
        :param cloud_provider: AWS, AZURE or GCP; empty to leave it open.
        """
        return self._hold(ask_options(self._open()[0], deployment_type, cloud_provider))

    def get_organization(self) -> Organization:
        """Return the connection's organization; raises AbsentError if the token sees no such."""
        return self._hold(ask_organization(self._open()[0]))

    def get_token_record(self, token_id: str) -> TokenRecord:
        """Return what Astro knows of a token; raises AbsentError if it shows no such."""
        return self._hold(ask_token_record(self._open()[0], token_id))

    def find_elsewhere(self, names: Sequence[str]) -> tuple[Deployment, ...]:
        """Return the Deployments of these names in whatever workspaces the token sees."""
        return self._hold(ask_elsewhere(self._open()[0], names))

    def count_deployments(self) -> int:
        """Return how many Deployments of the organization the token sees."""
        return self._hold(ask_deployment_count(self._open()[0]))

    def list_linked_objects(self) -> tuple[LinkedObject, ...]:
        """Return the workspace's environment objects that link themselves to each new Deployment, without values."""
        return self._hold(ask_linked_objects(self._open()[0]))

    def find_clusters(self, name: str) -> tuple[Cluster, ...]:
        """Return the organization's clusters of that name: one at most, as names go."""
        return self._hold(ask_clusters(self._open()[0], name))

    def create_deployment_token(self, deployment_id: str) -> MintedToken | None:
        """Mint a token that opens this Deployment alone, for a day; masked in logs. None: ours may not mint.

        Whoever asks for one deletes it when it has served (`delete_token`).

        :raises WriteRefusedError: Astro does not do it for another reason.
        :raises WriteUnknownError: no whole answer: one may have been minted, which then expires by itself.
        """
        minted = self._hold(mint_token(self._open()[0], deployment_id))
        if minted is not None:
            mask_secret(minted.value)
        return minted

    def delete_token(self, token: MintedToken) -> None:
        """Delete a minted token; one that is gone already is no error. Raises as `create_deployment_token` does."""
        self._hold(delete_token(self._open()[0], token))

    def _open(self) -> tuple[AstroConnection, Client]:
        if self._opened is None:
            self._opened = (self.connection, Client(self.connection.service))
        return self._opened

    def _hold(self, conversation: Conversation[T]) -> T:
        try:
            return hold(conversation, self.get_conn(), self._pace, self._sleep)
        except DeployOpsError as error:
            raise _tell(error, self._open()[0])  # noqa: B904 - it may be the error itself


class AsyncAstroApi:
    """The part of `AstroApiHook` that triggers await: an async context manager with the same reads and errors.

    :param astro_conn_id: the Airflow connection's id.
    """

    def __init__(self, astro_conn_id: str) -> None:
        self.astro_conn_id = astro_conn_id
        self._opened: tuple[AstroConnection, AsyncClient] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; a later read opens new ones and reads the Airflow connection again."""
        if self._opened is not None:
            await self._opened[1].aclose()
        self._opened = None

    async def get_deployment(self, deployment_id: str) -> Deployment | None:
        """Return a Deployment; None only if Astro itself answers that there is none of this id."""
        connection, client = await self._open()
        return await self._hold(ask_deployment(connection, deployment_id), client)

    async def list_deploys(self, deployment_id: str, limit: int | None = None) -> tuple[Deploy, ...]:
        """Return a Deployment's records, the newest first: all of them, or `limit` (1 to 1000)."""
        connection, client = await self._open()
        return await self._hold(ask_deploys(connection, deployment_id, limit), client)

    async def create_deployment_token(self, deployment_id: str, asker: str) -> MintedToken | None:
        """Mint a token that opens this Deployment alone, for a day, as `AstroApiHook.create_deployment_token` does.

        :param asker: what tells the asker from all others; it ends the token's name.
        """
        connection, client = await self._open()
        minted = await self._hold(mint_token(connection, deployment_id, asker), client)
        if minted is not None:
            await amask_secret(minted.value)
        return minted

    async def delete_token(self, token: MintedToken) -> None:
        """Delete a minted token; one that is gone already is no error."""
        connection, client = await self._open()
        await self._hold(delete_token(connection, token), client)

    async def drop_lost_tokens(self, deployment_id: str, asker: str) -> None:
        """Delete what was minted for this asker, of whose value no answer told."""
        connection, client = await self._open()
        await self._hold(drop_lost_tokens(connection, deployment_id, asker), client)

    async def list_deployments(self) -> tuple[Deployment, ...]:
        """Return every Deployment of the workspace, as Astro orders them; malformed ones have a `problem`."""
        connection, client = await self._open()
        return await self._hold(ask_deployments(connection), client)

    async def _open(self) -> tuple[AstroConnection, AsyncClient]:
        if self._opened is None:
            connection = await aread_astro_connection(self.astro_conn_id)
            self._opened = (connection, AsyncClient(connection.service))
        return self._opened

    async def _hold(self, conversation: Conversation[T], client: AsyncClient) -> T:
        try:
            return await ahold(conversation, client, share_pace(client.service))
        except DeployOpsError as error:
            connection, _ = await self._open()
            raise _tell(error, connection)  # noqa: B904 - likewise


def ask_deployments(connection: AstroConnection) -> Conversation[tuple[Deployment, ...]]:
    """Ask for every Deployment of the workspace."""
    request = Ask(_path(connection, "deployments"), {"workspaceIds": connection.workspace_id})
    items = yield from _ask_all(request, "deployments")
    deployments = tuple(parse_listed_deployment(item, connection) for item in items)
    for each in deployments:
        if each.workspace_id != connection.workspace_id:
            raise doubt(request, f"Astro lists {each.name!r} of another workspace, {each.workspace_id}")
    return deployments


def ask_deployment(connection: AstroConnection, deployment_id: str) -> Conversation[Deployment | None]:
    """Ask for one Deployment."""
    request = Ask(_path(connection, "deployments", deployment_id))
    answer = yield from ask(request)
    if answer is None:
        return None
    deployment = parse_deployment(request, answer, connection)
    if deployment.id != deployment_id:
        raise doubt(request, f"Astro answered with another Deployment, {deployment.id}")
    return deployment


def ask_deploys(connection: AstroConnection, deployment_id: str, limit: int | None) -> Conversation[tuple[Deploy, ...]]:
    """Ask for a Deployment's records; `limit` saves reading all of them where Astro answers the newest first.

    Astro documents no order of this list and no way to ask for one, so the order is checked, not trusted.
    """
    request = Ask(_path(connection, "deployments", deployment_id, "deploys"))
    if limit is not None:
        newest = yield from _ask_page(request, "deploys", 0, limit)
        records = tuple(parse_deploy(request, item, deployment_id) for item in newest.items)
        if len(records) == newest.total or (len(records) == limit and _is_newest_first(records)):
            return _sort_deploys(records)
    items = yield from _ask_all(request, "deploys")
    return _sort_deploys(tuple(parse_deploy(request, item, deployment_id) for item in items))[:limit]


def ask_workspace_name(connection: AstroConnection) -> Conversation[str]:
    """Ask for the workspace's name."""
    request = Ask(_path(connection, "workspaces"))
    items = yield from _ask_all(request, "workspaces")
    for item in items:
        if parse_id(request, item) == connection.workspace_id:
            return parse_workspace_name(request, item)
    raise AbsentError(f"{request}: the token sees no workspace {connection.workspace_id}; check workspace_id")


def ask_options(connection: AstroConnection, deployment_type: str, cloud_provider: str) -> Conversation[dict[str, Any]]:
    """Ask for the options of a kind of Deployment."""
    query = {"cloudProvider": cloud_provider, "deploymentType": deployment_type}
    request = Ask(_path(connection, "deployment-options"), {key: value for key, value in query.items() if value})
    answer = yield from ask(request)
    return parse_options(request, answer)


def ask_organization(connection: AstroConnection) -> Conversation[Organization]:
    """Ask for the organizations, as the CLI does before each of its commands, and take the connection's."""
    request = Ask("/organizations")
    for item in (yield from _ask_all(request, "organizations")):
        if parse_id(request, item) == connection.organization_id:
            return parse_organization(request, item)
    told = f"the token sees no organization {connection.organization_id}; check organization_id"
    raise AbsentError(f"{request}: {told}")


def ask_token_record(connection: AstroConnection, token_id: str) -> Conversation[TokenRecord]:
    """Ask for what Astro knows of a token."""
    request = Ask(_path(connection, "tokens", token_id))
    answer = yield from ask(request)
    return parse_token_record(request, answer)


def ask_elsewhere(connection: AstroConnection, names: Sequence[str]) -> Conversation[tuple[Deployment, ...]]:
    """Ask for the organization's Deployments of these names."""
    request = Ask(_path(connection, "deployments"), {"names": list(names)})
    items = yield from _ask_all(request, "deployments")
    found = (parse_listed_deployment(item, connection) for item in items)
    return tuple(each for each in found if each.name in names)


def ask_deployment_count(connection: AstroConnection) -> Conversation[int]:
    """Ask for the least of the organization's Deployments, and take how many there are."""
    page = yield from _ask_page(Ask(_path(connection, "deployments")), "deployments", 0, 1)
    return page.total


def ask_linked_objects(connection: AstroConnection) -> Conversation[tuple[LinkedObject, ...]]:
    """Ask for the workspace's environment objects; none tells a secret, since none is asked to."""
    request = Ask(_path(connection, "environment-objects"), {"workspaceId": connection.workspace_id})
    items = yield from _ask_all(request, "environmentObjects", identify_object)
    found = (parse_linked_object(request, item) for item in items)
    return tuple(each for each in found if each is not None)


def ask_clusters(connection: AstroConnection, name: str) -> Conversation[tuple[Cluster, ...]]:
    """Ask for the clusters of a name."""
    request = Ask(_path(connection, "clusters"), {"names": [name]})
    items = yield from _ask_all(request, "clusters")
    found = (parse_cluster(request, item) for item in items)
    return tuple(each for each in found if each.name == name)


def mint_token(connection: AstroConnection, deployment_id: str, asker: str = "") -> Conversation[MintedToken | None]:
    """Have Astro make a token for one Deployment, valid for a day, the least that it offers; None: it is forbidden."""
    if not deployment_id:
        raise PermanentError("a token is minted for one Deployment, and its id is empty")
    content = {
        "name": _name_token(deployment_id, asker),
        "description": "Reads whether what was deployed works. Deleted afterwards, and expires by itself.",
        "scope": "DEPLOYMENT",
        "entityId": deployment_id,
        "role": "DEPLOYMENT_ADMIN",
        "tokenExpiryPeriodInDays": 1,
    }
    request = Ask(_path(connection, "tokens"), method="POST", content=content)
    try:
        answer = yield from change(request)
    except WriteRefusedError as error:
        if error.status == HTTPStatus.FORBIDDEN:
            return None
        raise
    return parse_minted_token(request, answer)


def drop_lost_tokens(connection: AstroConnection, deployment_id: str, asker: str) -> Conversation[None]:
    """Have Astro delete the Deployment's tokens of one asker, by their name."""
    request = Ask(_path(connection, "tokens"), {"deploymentId": deployment_id})
    for item in (yield from _ask_all(request, "tokens")):
        token_id, name = parse_listed_token(request, item)
        if name == _name_token(deployment_id, asker):
            yield from _delete_token(connection, token_id)


def _name_token(deployment_id: str, asker: str) -> str:
    return f"{MINTED_NAME} {deployment_id} {asker}".rstrip()


def delete_token(connection: AstroConnection, token: MintedToken) -> Conversation[None]:
    """Have Astro delete a token."""
    yield from _delete_token(connection, token.id)


def _delete_token(connection: AstroConnection, token_id: str) -> Conversation[None]:
    try:
        yield from change(Ask(_path(connection, "tokens", token_id), method="DELETE"))
    except WriteRefusedError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


def _ask_all(request: Ask, key: str, identify: Identify = parse_id) -> Conversation[list[Any]]:
    """Ask page by page until the list is whole; a list that moves or repeats itself meanwhile is an error."""
    items: dict[str, Any] = {}
    total: int | None = None
    while True:
        page = yield from _ask_page(request, key, len(items), PAGE_SIZE, identify)
        if total not in (None, page.total):
            raise doubt(request, f"the list changed while it was read, from {total} to {page.total} items")
        if page.total > ITEMS_MAX:
            raise doubt(request, f"Astro counts {page.total} items, more than {ITEMS_MAX}")
        total = page.total
        new = {identify(request, item): item for item in page.items}
        if items.keys() & new.keys():
            raise doubt(request, f"Astro listed items twice from offset {len(items)} on")
        items |= new
        if not new and len(items) < total:
            raise doubt(request, f"Astro counts {total} items and listed {len(items)}")
        if len(items) == total:
            return list(items.values())


def _ask_page(request: Ask, key: str, offset: int, limit: int, identify: Identify = parse_id) -> Conversation[Page]:
    """Ask for one page; one that repeats an item, or has more items than there are, is an error."""
    asked = Ask(request.path, {**request.query, "limit": limit, "offset": offset})
    answer = yield from ask(asked)
    page = parse_page(asked, answer, key)
    if len({identify(asked, item) for item in page.items}) != len(page.items):
        raise doubt(asked, f"Astro listed items twice from offset {offset} on")
    if offset + len(page.items) > page.total:
        raise doubt(asked, f"Astro counts {page.total} items and listed {offset + len(page.items)}")
    return page


def _is_newest_first(records: tuple[Deploy, ...]) -> bool:
    times = [record.created_at for record in records]
    return times[0] > times[-1] and all(newer >= older for newer, older in itertools.pairwise(times))


def _sort_deploys(records: tuple[Deploy, ...]) -> tuple[Deploy, ...]:
    return tuple(sorted(records, key=lambda record: (record.created_at, record.id), reverse=True))


def _path(connection: AstroConnection, *words: str) -> str:
    """Return a path below the organization; an empty word would ask for a list instead of one thing."""
    if not all(words):
        raise PermanentError(f"an empty id cannot be asked for: {'/'.join(words)}")
    return "/".join(("/organizations", connection.organization_id, *(quote(word, safe="") for word in words)))


def _tell(error: DeployOpsError, connection: AstroConnection) -> DeployOpsError:
    """Return the error as it is told: without the token, which an answer may repeat, and with the connection's name."""
    redact_error(error, [connection.token])
    if not isinstance(error, ObservationError):
        return error
    return type(error)(f"{error} (connection {connection.conn_id!r})")
