"""What is said of a service's answer, and what its clients share."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from include.deploy_ops.hooks.conversation import AsyncClient, Client, Reply, Service, name_trusted, read_trust


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"", "HTTP 403"), (b"x" * 300, f"HTTP 403 '{'x' * 300}'"), (b"x" * 301, f"HTTP 403 '{'x' * 300}…'")],
)
def test_where_an_answer_is_cut_is_shown(body: bytes, said: str) -> None:
    assert str(Reply(403, body=body)) == said


@pytest.mark.parametrize("url", ["https://astro.example", "http://127.0.0.1:9"])
def test_hundreds_of_clients_read_once_whom_tls_trusts(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading that takes 25 ms, in which a triggerer's event loop stands, and close to a megabyte for each client."""
    read: list[ssl.SSLContext] = []

    def make_context(*_: Any, **__: Any) -> ssl.SSLContext:
        read.append(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return read[-1]

    monkeypatch.setattr(ssl, "create_default_context", make_context)
    read_trust.cache_clear()
    service = Service("astro", url, "t")
    try:
        clients = [AsyncClient(service), AsyncClient(service)]
        with Client(service):
            assert len(read) == 1
        for client in clients:
            asyncio.run(client.aclose())
    finally:
        read_trust.cache_clear()


def test_certificates_of_another_file_or_a_changed_one_count_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one.pem", tmp_path / "other.pem"
    for file in (one, other):
        file.touch()
    asked: list[str] = []

    def make_context(cafile: str) -> None:
        asked.append(cafile)

    def read(file: Path) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        read_trust(*name_trusted(Service("astro", "https://astro.example", "t")))

    monkeypatch.setattr(ssl, "create_default_context", make_context)
    read_trust.cache_clear()
    try:
        for file in (one, other, one):
            read(file)
        os.utime(one, (0, 0))
        read(one)
        read(one)
    finally:
        read_trust.cache_clear()
    assert asked == [str(one), str(other), str(one)]
