"""Read what a push of Docker's Engine API asks for; it moves nothing.

https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Image/operation/ImagePush
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from include.deploy_ops.core.errors import PermanentError

_PATH = re.compile(r"/v1\.\d+/images/(?P<repository>.+)/push")


def _ignore_line(line: str) -> None:
    del line


@dataclass(frozen=True, slots=True)
class PushTarget:
    """Where the CLI wants the image, with the login it gives for that registry.

    :param report: shows a line of progress to the CLI; raises EngineClosedError once nobody wants the push any more.
    """

    repository: str
    tag: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    report: Callable[[str], None] = field(default=_ignore_line, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of the login must show nowhere: the CLI gives its token with `Bearer` before it."""
        password = self.password or ""
        return (password, password.removeprefix("Bearer "))


def is_push(url: str) -> bool:
    """Whether a request's path and query are a push, in any version of the API."""
    return _PATH.fullmatch(urlsplit(url).path) is not None


def parse_push(url: str, registry_auth: str | None, report: Callable[[str], None]) -> PushTarget:
    """Read a push request.

    :param registry_auth: the header X-Registry-Auth, base64url of a JSON object.
    :raises PermanentError: there is no tag, or the header is something else.
    """
    parts = urlsplit(url)
    found = _PATH.fullmatch(parts.path)
    tags = parse_qs(parts.query).get("tag", [])
    if found is None or len(tags) != 1:
        raise PermanentError(f"The push {url!r} does not name one repository and one tag.")
    login = _decode_login(registry_auth)
    username, password = login.get("username") or None, login.get("password") or None
    return PushTarget(unquote(found["repository"]), tags[0], username, password, report)


def _decode_login(registry_auth: str | None) -> dict[str, str]:
    try:
        # "e30=" is an empty object: a registry that wants no login.
        login = json.loads(base64.urlsafe_b64decode(registry_auth or "e30="))
    except (binascii.Error, ValueError):
        login = None
    if not isinstance(login, dict):  # the header stays out of the text and of the chain: it is a secret
        raise PermanentError("The push carries an X-Registry-Auth header that is not base64url of a JSON object.")
    return login
