"""The DAG bundle: found, checked, packed in the working directory, and uploaded."""

from __future__ import annotations

import base64
import gzip
import os
import re
import secrets
import shutil
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from sandbox.cli.errors import CliError, PanicError
from sandbox.cli.transport import Answer, DroppedError, send_request

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAG_FILE = re.compile(".py")  # as the real CLI has it: any character, then "py", anywhere in the name
_TAR, _GZIP = Path("bundle.tar"), Path("bundle.tar.gz")
_BLOCK_BYTES = 1 << 20
_BLOCK_NAME_BYTES = 64
_CREATED = 201
_TRIES = 4
_BACKOFF_S = 1.2
_RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
_RULE = "-" * 80


def has_dag_files(folder: Path) -> bool:
    """Return whether any file below the folder looks like a DAG."""
    return any(_DAG_FILE.search(path.name) for path in _walk(folder))


def upload_dags(folder: Path, url: str, *, is_airflow_3: bool) -> str:
    """Pack the folder, upload it, and return the version that the store gave it.

    :raises CliError: if the folder cannot be packed, or the upload fails.
    """
    if is_airflow_3:
        _validate(folder)
    if folder.resolve() == Path.cwd().resolve():
        raise CliError("archive/tar: write too long")
    try:
        _pack(folder)
        return _upload(_GZIP.read_bytes(), url)
    finally:
        _TAR.unlink(missing_ok=True)
        _GZIP.unlink(missing_ok=True)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything below the folder that is no directory, in lexical order; links are not followed.

    Nor is the folder, where it is a link: then it is all that there is.
    """
    if folder.is_symlink():
        yield folder
        return
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def _validate(folder: Path) -> None:
    """Refuse what Airflow 3 could not read: no folder, and links that say that they lead out of it, itself one too."""
    if not os.path.lexists(folder):
        raise CliError(f"bundle validation failed: lstat {folder}: no such file or directory")
    root = os.path.abspath(folder)  # noqa: PTH100 - follows no link
    for path in filter(Path.is_symlink, _walk(folder)):
        target = os.path.normpath(path.parent / path.readlink())
        if not os.path.abspath(target).startswith(root):  # noqa: PTH100 - likewise
            outside = f"symlink {path} points to {target} which is outside the bundle directory {root}"
            raise CliError(f"bundle validation failed: {outside}")


def _pack(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise CliError("source is not a directory")
    with tarfile.open(_TAR, "w") as tar:
        for path in _walk(folder):
            tar.add(path, str(Path(folder.name) / path.relative_to(folder)), recursive=False)
    with _TAR.open("rb") as plain, gzip.open(_GZIP, "wb") as packed:
        shutil.copyfileobj(plain, packed)


def _upload(content: bytes, url: str) -> str:
    """Send small content in one request, larger content as blocks and their list, as Azure's client does."""
    if len(content) < _BLOCK_BYTES:
        answer = _put(url, {}, content)
    else:
        salt = secrets.token_bytes(16)
        names = []
        for number, start in enumerate(range(0, len(content), _BLOCK_BYTES)):
            name = salt + number.to_bytes(4, "big")
            names.append(base64.b64encode(name.ljust(_BLOCK_NAME_BYTES, b"\0")).decode())
            block = content[start : start + _BLOCK_BYTES]
            _put(url, {"blockid": names[-1], "comp": "block"}, block)
        listed = "".join(f"<Latest>{name}</Latest>" for name in names)
        answer = _put(url, {"comp": "blocklist"}, f"<BlockList>{listed}</BlockList>".encode())
    version = answer.headers.get("x-ms-version-id")
    if version is None:
        raise PanicError
    return version


def _put(url: str, query: dict[str, str], content: bytes) -> Answer:
    """Send one PUT, up to four times where a later try may succeed.

    :raises CliError: with the whole URL if the connection dropped, its signature included: so the real CLI does.
    """
    parts = urlsplit(url)
    pairs = urlencode(sorted([*parse_qsl(parts.query), *query.items()]), quote_via=quote, safe="")
    target = urlunsplit(parts._replace(query=pairs))
    headers = {
        "x-ms-blob-type": "BlockBlob",
        "x-ms-version": "2025-05-05",
        "Content-Type": "application/octet-stream",
        "Accept": "application/xml",
    }
    scale = float(os.environ.get("ASTRO_STANDIN_WAIT_SCALE", "1"))
    for attempt in range(1, _TRIES + 1):
        is_last = attempt == _TRIES
        try:
            answer = send_request("PUT", target, headers, content)
        except DroppedError:
            if is_last:
                raise
        else:
            if answer.status == _CREATED:
                return answer
            if is_last or answer.status not in _RETRYABLE:
                raise _make_refusal(urlunsplit(parts._replace(query="")), answer)
        time.sleep(_BACKOFF_S * 2 ** (attempt - 1) * scale)
    raise AssertionError("the last try returns or raises")


def _make_refusal(url: str, answer: Answer) -> CliError:
    status = f"RESPONSE {answer.status}: {answer.status} {answer.reason}\nERROR CODE UNAVAILABLE"
    body = answer.body.decode(errors="replace")
    return CliError(f"PUT {url}\n{_RULE}\n{status}\n{_RULE}\n{body}\n{_RULE}")


def is_airflow_3(deployment: dict[str, Any]) -> bool:
    """Return whether the Deployment runs Airflow 3."""
    return str(deployment.get("airflowVersion", "")).startswith("3")
