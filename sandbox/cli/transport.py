"""One HTTP request, with the error texts of Go's client. It knows nothing of Astro."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sandbox.cli.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DROPPED = (http.client.BadStatusLine, http.client.IncompleteRead, ConnectionResetError, BrokenPipeError)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class DroppedError(CliError):
    """The connection ended before the answer did."""


def send_request(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, timeout_s: float | None = None
) -> Answer:
    """Return the answer, whatever its status. There is no time limit unless one is given, as in the real CLI.

    :raises DroppedError: if the connection broke; the text names the whole URL, query included.
    :raises CliError: if there was no connection.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=timeout_s)
    prefix = f'{method.capitalize()} "{url}": '
    try:
        connection.request(method, f"{parts.path}?{parts.query}".rstrip("?"), body, dict(headers))
        response = connection.getresponse()
        content = response.read()
    except _DROPPED as error:
        raise DroppedError(f"{prefix}EOF") from error
    except OSError as error:
        raise CliError(f"{prefix}dial tcp {parts.netloc}: connect: {(error.strerror or str(error)).lower()}") from error
    finally:
        connection.close()
    return Answer(response.status, response.reason, {k.lower(): v for k, v in response.getheaders()}, content)
