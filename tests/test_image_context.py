"""What the image of the management Deployment holds: the product, and nothing that lies in the folder by chance."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.podman import set_up_podman

ROOT = Path(__file__).parents[1]
SECRETS = (".env", "include/.env.local", "airflow_settings.yaml", "include/deploy_ops/app.pem", "dags/x.key", "id_rsa")


def list_context(folder: Path, podman: str) -> set[str]:
    """Return the files of an image into which all is copied that the build sees."""
    (folder / "All").write_text("FROM scratch\nCOPY . /\n")
    seen = folder.parent / "seen"
    built = subprocess.run(
        [podman, "build", "--file", "All", "--output", f"type=local,dest={seen}", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return {path.relative_to(seen).as_posix() for path in seen.rglob("*") if path.is_file()}


def test_the_image_holds_the_product_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    podman = set_up_podman(tmp_path, monkeypatch)
    folder = tmp_path / "project"
    folder.mkdir()
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    for name in SECRETS:
        (folder / name).write_text("a secret\n")
    found = list_context(folder, podman)
    assert found.isdisjoint(SECRETS)
    assert {name.partition("/")[0] for name in found} == {
        "dags",
        "include",
        "plugins",
        "packages.txt",
        "requirements.txt",
    }
    product = {name for name in listed.split("\0") if name.startswith(("dags/", "include/", "plugins/"))}
    assert found >= product
