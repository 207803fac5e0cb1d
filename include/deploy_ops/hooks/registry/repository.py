"""Speak to one repository of an image registry: manifests and blobs, with the registry's own login protocol.

It copies nothing and knows no connection: both are the hook's. python-dxf makes the requests.
"""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from dxf import DXF
from dxf.exceptions import DXFError, DXFUnauthorizedError
from requests.utils import parse_dict_header

from include.deploy_ops.core.errors import (
    DeployOpsError,
    ImageRefusedError,
    ObservationError,
    PermanentError,
    RateLimitError,
    RetryableError,
)
from include.deploy_ops.hooks import metrics
from include.deploy_ops.hooks.bounded_adapter import bound_session, limit_body, stream_pieces
from include.deploy_ops.hooks.json_body import read_json
from include.deploy_ops.hooks.patience import ANSWER_TIME_MAX_S, UNNAMED_WAIT_S, AnswerLimit, read_retry_after_s
from include.deploy_ops.hooks.registry.login_hosts import DOCKER_HUB, LoginPlaces, is_loopback
from include.deploy_ops.process.redaction import redact, redact_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dxf import DXFBase

    from include.deploy_ops.hooks.registry.logins import Login

_UNKNOWN_CODES = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"})  # NOT_FOUND is Harbor's
_MOUNT_REFUSALS = frozenset({400, 403, 404, 405})
_BLOB_BYTES_PER_S_MIN = 256 << 10  # a layer of 1 GiB may take over an hour, one that drips may not
_TOLD_LENGTH = 300  # characters of a registry's answer that an error repeats
_REDACTED_BYTES = 4096  # of its body, that are looked through for what is secret
_REDIRECTS_MAX = 5  # a registry sends to where its blobs lie, and that perhaps to another place
_PULL_LIMIT = re.compile(r"(\d{1,9});w=(\d{1,9})")
_TOKEN = re.compile(r"[\x21-\x7e]+")

# Like the references of https://github.com/distribution/reference, with a host that may hold a port.
_REFERENCE = re.compile(
    r"(?:(?P<host>localhost(?::\d+)?|[A-Za-z0-9.-]+(?::\d+|\.[A-Za-z0-9-]+(?::\d+)?))/)?"
    r"(?P<repository>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image's full name. `tag` is a tag, or a digest that begins with `sha256:`."""

    host: str
    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}{'@' if self.tag.startswith('sha256:') else ':'}{self.tag}"

    @property
    def is_loopback(self) -> bool:
        """Whether the registry is on this machine, where plain HTTP is spoken."""
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest byte for byte, with the media type to store it under and the digest that follows from the bytes."""

    content: bytes
    media_type: str
    digest: str

    @property
    def fields(self) -> dict[str, Any]:
        """The manifest's JSON object."""
        return _parse_object(self.content, f"the manifest {self.digest}")


def parse_image(reference: str) -> ImageReference:
    """Read `host[:port]/repository[:tag][@sha256:…]`; without a tag it is `latest`, without a host Docker Hub.

    Of a tag with a digest the digest counts: whoever wrote both wants no other image.

    :raises PermanentError: the text is no image name.
    """
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise PermanentError(
            f"{reference!r} is no image name; expected host/repository:tag, in lower case before the tag."
        )
    host = found["host"] or "docker.io"
    return ImageReference(
        DOCKER_HUB if host == "docker.io" else host, found["repository"], found["digest"] or found["tag"] or "latest"
    )


class ImageRepository:
    """A repository, opened as a context manager so that its connections are kept and closed.

    Every method raises ImageRefusedError for a refused login, right or request, RateLimitError for 429, RetryableError
    for 5xx, time limits and broken connections.

    :param image: host and repository; the tag only shows in errors.
    :param take_login: returns the login; asked anew before each step, since one may end meanwhile.
    :param timeout_s: seconds for connecting, and between two pieces of an answer.
    :param places: where the login may be sent; by default to the registry's own host, and what is known to be its.
    """

    def __init__(
        self,
        image: ImageReference,
        take_login: Callable[[], Login],
        timeout_s: float,
        places: LoginPlaces | None = None,
    ) -> None:
        self.image = image
        self._take_login = take_login
        self._login = take_login()
        self._timeout_s = timeout_s
        self._places = places or LoginPlaces(image.host)
        self._dxf = _Dxf(
            image.host, image.repository, auth=self._authorize, insecure=image.is_loopback, timeout=timeout_s
        )
        self._dxf.places = self._places
        self._is_basic = False  # or a token's service was told the login

    def __enter__(self) -> Self:
        self._dxf.__enter__()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._dxf.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        if isinstance(error, DeployOpsError):
            redact_error(error, self._list_secrets())  # which an answer may repeat

    def read_manifest(self, reference: str) -> Manifest | None:
        """Return what a tag or digest names; None only if the registry says in its protocol that it knows none.

        :raises ObservationError: the answer is not what its digest promises.
        """
        with self._explain(f"pull {reference} from"):
            try:
                _, response = self._dxf.get_manifest_and_response(reference)
            except requests.HTTPError as error:
                if _is_unknown(error.response):
                    return None
                raise
        digest = _compute_digest(response.content)
        promised = reference if reference.startswith("sha256:") else response.headers.get("Docker-Content-Digest")
        if promised not in {None, digest}:
            raise ObservationError(f"GET {response.url} answered with {digest}, promised was {promised}.")
        # A header may carry parameters, such as a charset, which are no part of the type.
        served_as = response.headers.get("Content-Type", "").partition(";")[0].strip()
        media_type = _parse_object(response.content, response.url).get("mediaType")
        is_told = isinstance(media_type, str) and bool(media_type)
        return Manifest(response.content, str(media_type) if is_told else served_as, digest)

    def write_manifest(self, tag: str, manifest: Manifest) -> None:
        """Store a manifest, byte for byte, under a tag."""
        with self._explain(f"push {tag} to"):
            self._dxf.put_manifest(tag, manifest)

    def read_json_blob(self, digest: str, size_bytes: int) -> dict[str, Any]:
        """Return a small blob that holds a JSON object.

        :raises ObservationError: it holds something else, or more.
        """
        return _parse_object(b"".join(self.stream_blob(digest, size_bytes)), f"the blob {digest} of {self.image}")

    def has_manifest(self, reference: str) -> bool:
        """Whether a tag or digest names anything, as far as a 404 without a body can be believed."""
        return self._has(lambda: self._dxf.head_manifest_and_response(reference))

    def has_blob(self, digest: str) -> bool:
        """Whether the repository holds the blob."""
        return self._has(lambda: self._dxf.find_blob(digest))

    def _has(self, look: Callable[[], object]) -> bool:
        with self._explain("look into"):
            try:
                look()
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code == HTTPStatus.NOT_FOUND:
                    return False
                raise
        return True

    def stream_blob(self, digest: str, size_bytes: int) -> Iterator[bytes]:
        """Yield a blob in pieces; its digest is checked at the end, and a wrong one raises RetryableError.

        :raises UnendingAnswerError: it is longer than its manifest says, or comes too slowly.
        """
        time_max_s = ANSWER_TIME_MAX_S + size_bytes / _BLOB_BYTES_PER_S_MIN
        name = f"The blob {digest} of {self.image}"
        with (
            self._explain("pull from"),
            self._dxf.open_blob(digest) as response,
            limit_body(response, name, time_max_s),
        ):
            limit, hashed = AnswerLimit(name, size_bytes, time_max_s), hashlib.sha256()
            for piece in stream_pieces(response):
                hashed.update(limit.check(piece))
                yield piece
            if f"sha256:{hashed.hexdigest()}" != digest:
                raise RetryableError(f"{self.image}: the blob {digest} came with another digest; pull it again.")

    def push_blob(self, digest: str, pieces: Iterable[bytes]) -> None:
        """Store a blob. `pieces` may be iterated a second time, if the registry asks for a login in between."""
        with self._explain("push to"):
            self._dxf.send_blob(digest, pieces)

    def mount_blob(self, digest: str, repository: str) -> bool:
        """Show another repository's blob of the same registry here; False if the registry would rather not."""
        with self._explain("push to"):
            try:
                return self._dxf.ask_mount(digest, repository)
            except DXFUnauthorizedError:
                return False
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code in _MOUNT_REFUSALS:
                    return False
                raise

    def _authorize(self, dxf: DXFBase, response: requests.Response) -> None:
        """Answer a 401: https://distribution.github.io/distribution/spec/auth/token/, or Basic.

        dxf can do it too, but not for a registry that speaks plain HTTP on this machine.
        """
        scheme, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
        if response.history or not isinstance(dxf, _Dxf) or not self._places.has(response.url):
            return  # the challenge is that of another host, to which our login says nothing
        if scheme.lower() == "bearer":
            dxf.token = self._fetch_token(parse_dict_header(rest))
            metrics.count_request(metrics.REGISTRY)  # dxf asks once more
        elif scheme.lower() == "basic" and self._login.username is not None:
            dxf.set_authorization(f"Basic {self._encode_login()}")
            self._is_basic = True
            metrics.count_request(metrics.REGISTRY)

    def _fetch_token(self, challenge: dict[str, Any]) -> str:
        realm = self._check_realm(str(challenge.get("realm")))
        query = [("scope", scope) for scope in str(challenge.get("scope") or "").split()]
        if service := challenge.get("service"):
            query.append(("service", str(service)))
        headers = {} if self._login.username is None else {"Authorization": f"Basic {self._encode_login()}"}
        metrics.count_request(metrics.REGISTRY)
        answer = self._dxf.session.get(realm, params=query, headers=headers, timeout=self._timeout_s)
        answer.raise_for_status()
        fields = _parse_object(answer.content, realm.partition("?")[0])
        token = fields.get("token") or fields.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ObservationError(f"GET {realm.partition('?')[0]:.200} answered without a token.")
        return token

    def _check_realm(self, realm: str) -> str:
        """Return where a token is fetched: anonymously anywhere, with a login only where that may go."""
        parts = urlsplit(realm)
        if parts.scheme != "https" and not (self.image.is_loopback and is_loopback(parts.hostname)):
            raise ImageRefusedError(
                f"The registry {self.image.host} sends its login to {realm!r:.200}, which is not encrypted. "
                f"Use a registry whose token service speaks HTTPS."
            )
        if self._login.username is not None and not self._places.has(realm):
            raise ImageRefusedError(
                f"The registry {self.image.host} asks for its login on another host. {self._places.advise(realm)}"
            )
        return realm

    def _encode_login(self) -> str:
        return base64.b64encode(f"{self._login.username}:{self._login.password or ''}".encode()).decode()

    def _renew_login(self) -> None:
        """Take the login that holds now; a registry that was told one itself need not say by a 401 that it ended."""
        known, self._login = self._login, self._take_login()
        if self._is_basic and self._login != known:
            self._dxf.set_authorization(f"Basic {self._encode_login()}")

    @contextmanager
    def _explain(self, doing: str) -> Iterator[None]:
        place = f"{doing} {self.image.host}/{self.image.repository}"
        self._renew_login()
        try:
            yield
        except DXFUnauthorizedError as error:
            raise self._refuse(place, "HTTP 401") from error
        except requests.HTTPError as error:
            raise self._describe(place, error.response) from error
        except (requests.RequestException, DXFError) as error:
            raise RetryableError(f"Could not {place}: {self._redact(f'{type(error).__name__}: {error}')}") from error
        except ValueError as error:  # an address or a text that is none
            raise ObservationError(f"Could not {place}: the answer is malformed ({type(error).__name__})") from error

    def _describe(self, place: str, response: requests.Response | None) -> Exception:
        if response is None:
            return RetryableError(f"Could not {place}: no answer.")
        # No more than is told: the guess at the encoding of a long body takes minutes.
        body = response.content[:_REDACTED_BYTES].decode("utf-8", "replace")
        status, said = response.status_code, f"HTTP {response.status_code}: {self._redact(body)}"
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return self._refuse(place, said)
        wanted_s = read_retry_after_s(response.headers)
        if status == HTTPStatus.TOO_MANY_REQUESTS and wanted_s is None:
            wanted_s = UNNAMED_WAIT_S
        if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE} and wanted_s is not None:
            return RateLimitError(f"Could not {place}: {said}{self._tell_limit(response)}", wanted_s)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            return RetryableError(f"Could not {place}: {said}")
        return ImageRefusedError(f"Could not {place}: {said}")

    def _tell_limit(self, response: requests.Response) -> str:
        """Return how many pulls the registry allows, as Docker Hub tells: https://docs.docker.com/docker-hub/usage/pulls."""
        found = _PULL_LIMIT.fullmatch(response.headers.get("RateLimit-Limit", ""))
        told = f" It allows {int(found[1])} pulls in {int(found[2]) / 3600:g} hours." if found else ""
        is_nobody = response.status_code == HTTPStatus.TOO_MANY_REQUESTS and self._login.username is None
        advice = " With a login (registry_conn_id in the policy) it counts your own pulls, and allows more."
        return told + (advice if is_nobody else "")

    def _refuse(self, place: str, said: str) -> ImageRefusedError:
        who = "anonymously" if self._login.username is None else f"as {self._login.username!r}"
        return ImageRefusedError(
            f"The registry refused to let us {place} {who} ({said}). Give a login that may, in the "
            f"connection that the policy names for the registry, or check the name: some registries say this also of a "
            f"repository that does not exist."
        )

    def _redact(self, text: str) -> str:
        return redact(text, self._list_secrets())[:_TOLD_LENGTH]

    def _list_secrets(self) -> list[str]:
        password = self._login.password or ""
        return [password, password.removeprefix("Bearer "), str(self._dxf.token or "")]


class _Dxf(DXF):
    """What DXF lacks: limits, OCI manifests without a mediaType, Basic logins of our own, a count of its requests."""

    places: LoginPlaces

    def __enter__(self) -> Self:
        super().__enter__()
        bound_session(self.session)
        self.session.max_redirects = _REDIRECTS_MAX
        self.session.auth = _add_nothing
        self.session.hooks["response"].append(_refuse_downgrade)
        return self

    @property
    def session(self) -> requests.Session:
        """The present context's; outside of one, DXF asks without limits."""
        return self._sessions[0]  # type: ignore[return-value]  # at the bottom of the stack lies the module itself

    def _base_request(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Ask as DXF does; but a host that may not be told the login is asked without it."""
        metrics.count_request(metrics.REGISTRY)
        login, is_told = self._headers, self.places.has(urljoin(self._base_url, path))
        if not is_told:
            self._headers = {}
        try:
            send: Callable[..., requests.Response] = super()._base_request
            return send(method, path, **kwargs)
        finally:
            if not is_told:
                self._headers = login

    def find_blob(self, digest: str) -> None:
        request: Callable[..., requests.Response] = self._request
        request("head", f"blobs/{digest}")

    def open_blob(self, digest: str) -> requests.Response:
        request: Callable[..., requests.Response] = self._request
        return request("get", f"blobs/{digest}", stream=True)

    def ask_mount(self, digest: str, repository: str) -> bool:
        request: Callable[..., requests.Response] = self._request
        wanted = urlencode({"mount": digest, "from": self._get_repo_path(repository, suffix="")})  # type: ignore[no-untyped-call]
        return request("post", f"blobs/uploads/?{wanted}").status_code == HTTPStatus.CREATED

    def send_blob(self, digest: str, pieces: Iterable[bytes]) -> None:
        """Upload to where the registry says: https://distribution.github.io/distribution/spec/api/#monolithic-upload."""
        request: Callable[..., requests.Response] = self._request
        opened = request("post", "blobs/uploads/")
        place = urlsplit(urljoin(opened.url, opened.headers.get("Location", "")))
        if not opened.headers.get("Location") or place.scheme not in {"http", "https"}:
            raise ObservationError(f"POST {opened.url} answered without a place to upload to.")
        query = "&".join([*filter(None, [place.query]), urlencode({"digest": digest})])
        # Behind a proxy some registries name themselves without encryption.
        scheme = "http" if self._insecure and is_loopback(place.hostname) else "https"
        self._base_request("put", place._replace(scheme=scheme, query=query).geturl(), data=pieces)

    def put_manifest(self, alias: str, manifest: Manifest) -> None:
        request: Callable[..., requests.Response] = self._request
        request("put", f"manifests/{alias}", data=manifest.content, headers={"Content-Type": manifest.media_type})

    def set_authorization(self, value: str) -> None:
        self._headers = {"Authorization": value}


def _add_nothing(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep python-requests from sending a login of the worker's .netrc in place of ours."""
    return request


def _refuse_downgrade(response: requests.Response, **_: Any) -> None:
    """Follow no redirect that leads out of encryption: whoever sits on the way could answer."""
    target = urljoin(response.url, response.headers.get("Location", ""))
    if response.is_redirect and response.url.startswith("https:") and not target.startswith("https:"):
        raise DowngradeError("a redirect leads to an address without encryption")


class DowngradeError(requests.RequestException):
    """A redirect that is not followed."""


def _is_unknown(response: requests.Response | None) -> bool:
    """Whether a 404 is the registry's own, and not that of a proxy or of a server that is no registry."""
    if response is None or response.status_code != HTTPStatus.NOT_FOUND:
        return False
    try:
        return any(error["code"] in _UNKNOWN_CODES for error in read_json(response.content)["errors"])
    except (ValueError, KeyError, TypeError):
        return False


def _parse_object(content: bytes, where: str) -> dict[str, Any]:
    try:
        parsed = read_json(content)
    except ValueError as error:
        raise ObservationError(f"Expected a JSON object from {where}, which is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ObservationError(f"Expected a JSON object from {where}, found {type(parsed).__name__}.")
    return parsed


def _compute_digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
