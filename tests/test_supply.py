"""What the image is made of: each package is locked by hash, its holes are asked about, its bill names each part."""

from __future__ import annotations

import http.server
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from supply import ROOT, TOOLS, audit, sbom

IMAGE = "requirements.txt"
LINE = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?: ; [^\\\n]+)? \\$(?P<hashes>(?:\n    --hash=\S+.*$)+)",
    re.MULTILINE,
)
BASE = "apache-airflow"
"""What the base image has, with all that it needs."""


def read_lock(name: str) -> dict[str, list[str]]:
    """Return the packages that a lock names, as name and version, with their hashes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = {f"{line['name']}=={line['version']}": line["hashes"].split() for line in LINE.finditer(text)}
    named = [line for line in text.splitlines() if line and line[0] not in " #"]
    assert len(named) >= len(found) > 0
    assert {line.split()[0] for line in named} == found.keys(), "a line without version or hash"
    return found


def read_names(name: str) -> set[str]:
    return {package.partition("==")[0] for package in read_lock(name)}


def list_needed(package: str) -> set[str]:
    """Return what an installed package needs on this machine, without its extras."""
    needed = map(Requirement, requires(package) or ())
    return {canonicalize_name(each.name) for each in needed if not each.marker or each.marker.evaluate({"extra": ""})}


def list_closure(package: str) -> set[str]:
    """Return a package and all that it needs, and what that needs."""
    found, open_ones = set(), {package}
    while open_ones:
        found |= open_ones
        open_ones = {need for each in open_ones for need in list_needed(each)} - found
    return found


@pytest.mark.parametrize("lock", audit.LOCKS)
def test_every_locked_package_has_a_version_and_the_hashes_of_its_files(lock: str) -> None:
    for package, hashes in read_lock(lock).items():
        digests = [each for each in hashes if each != "\\"]
        assert digests, package
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in digests), package


def test_every_lock_is_audited() -> None:
    assert set(audit.LOCKS) == {path.name for path in ROOT.glob("requirements*.txt")}


def test_no_lock_names_a_place_that_packages_come_from() -> None:
    for lock in audit.LOCKS:
        text = (ROOT / lock).read_text(encoding="utf-8")
        assert not re.search(r"^\s*-|https?://", re.sub(r"^    --hash=.*$", "", text, flags=re.MULTILINE), re.MULTILINE)


def test_the_image_gets_what_the_tests_ran_with() -> None:
    assert read_lock(IMAGE).items() <= read_lock("requirements-dev.txt").items()


def test_the_image_gets_nothing_that_is_not_locked() -> None:
    """Where the base image's tool takes packages without a hash, too, there is none to take."""
    locked, base = read_names(IMAGE), list_closure(BASE)
    for package in locked:
        assert list_needed(package) <= locked | base, package
    assert locked.isdisjoint(base)


def test_the_image_gets_what_the_product_asks_for() -> None:
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    asked = {line for line in lines if not line.startswith("#")}
    assert asked
    assert asked <= read_lock(IMAGE).keys()
    assert "-r requirements.in" in (ROOT / "requirements-dev.in").read_text(encoding="utf-8").splitlines()


@dataclass
class Osv:
    """An advisory database that knows of these packages only; `status` is what it answers with."""

    url: str
    known: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    status: int = 200
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def osv() -> Iterator[Osv]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = query["package"]["name"]
            double.asked.append(name)
            body = json.dumps({"vulns": known} if (known := double.known.get(name)) else {}).encode()
            self.send_response(double.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        double = Osv(f"http://127.0.0.1:{server.server_port}/v1/query")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield double
        server.shutdown()
        thread.join()


def make_advisory(package: str, fixed: str) -> dict[str, Any]:
    """Return a hole that every version before `fixed` has, in OSV's form."""
    where = {"package": {"name": package, "ecosystem": "PyPI"}}
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
    return {"id": "PYSEC-2026-1", "affected": [{**where, "ranges": ranges}]}


def run_audit(url: str, monkeypatch: pytest.MonkeyPatch, *locks: str) -> int:
    assert (TOOLS / "pip-audit").exists(), "`make .supply/.ready` installs the tools"
    monkeypatch.setenv("OSV_URL", url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(audit, "LOCKS", locks or (IMAGE,))
    return audit.main()


def test_where_no_database_answers_nothing_is_known_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert run_audit(f"http://127.0.0.1:{port}/", monkeypatch) == audit.NOT_ASKED == 3
    said = capsys.readouterr()
    assert "NOT AUDITED, nothing is known: " in said.err
    assert "Connection refused" in said.err
    assert "vulnerabilities" not in said.out


def test_a_database_that_fails_is_no_answer(
    osv: Osv, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    osv.status = 503
    assert run_audit(osv.url, monkeypatch) == audit.NOT_ASKED
    assert "503 Server Error" in capsys.readouterr().err


def test_every_locked_package_is_asked_about(
    osv: Osv, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_audit(osv.url, monkeypatch, IMAGE, "requirements-uv.txt") == audit.NONE_KNOWN == 0
    assert set(osv.asked) == read_names(IMAGE) | {"uv"}
    assert "no known vulnerabilities in what requirements.txt, requirements-uv.txt lock" in capsys.readouterr().out


def test_a_known_hole_is_named_with_its_cure(
    osv: Osv, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    osv.known["tqdm"] = [make_advisory("tqdm", "999.0")]
    assert run_audit(osv.url, monkeypatch) == audit.FOUND == 1
    assert re.search(r"^tqdm \S+: PYSEC-2026-1, fixed in 999\.0$", capsys.readouterr().out, re.MULTILINE)


def test_without_the_tool_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "TOOLS", tmp_path)
    assert audit.main() == audit.NOT_ASKED
    assert "`make audit` installs it" in capsys.readouterr().err


VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) and "it is no CycloneDX")
"""


def test_the_bill_names_the_product_and_each_part_of_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (TOOLS / "cyclonedx-py").exists(), "`make .supply/.ready` installs the tools"
    file = tmp_path / "sbom.json"
    digest = "0" * 64
    monkeypatch.setattr(sys, "argv", ["sbom", str(file)])
    monkeypatch.setenv("RUNTIME", f"3.3-2@sha256:{digest}")
    sbom.main()
    text = file.read_text(encoding="utf-8")
    sbom.main()
    assert file.read_text(encoding="utf-8") == text, "it is the same every time"
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "deploy-ops")
    parts = {part["name"]: part for part in bill["components"]}
    versions = {f"{name}=={part.get('version')}" for name, part in parts.items()}
    assert versions >= read_lock(IMAGE).keys()
    assert parts["astrocrpublic.azurecr.io/runtime"]["version"] == "3.3-2"
    assert parts["astrocrpublic.azurecr.io/runtime"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert parts["astro-cli"]["version"] == "1.45.0"
    assert "git" in parts
    (product,) = bill["dependencies"]
    assert product["ref"] == bill["metadata"]["component"]["bom-ref"]
    assert set(product["dependsOn"]) == {part["bom-ref"] for part in parts.values()}
    assert subprocess.run([TOOLS / "python", "-c", VALIDATE], input=text, text=True, check=False).returncode == 0
