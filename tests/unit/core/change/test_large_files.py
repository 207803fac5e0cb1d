"""Which texts are pointers of Git LFS."""

from __future__ import annotations

import pytest

from include.deploy_ops.core.change.large_files import POINTER_BYTES_MAX, LargeFile, read_pointer
from include.deploy_ops.core.errors import PermanentError

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n"


@pytest.mark.parametrize(
    "text",
    [POINTER, POINTER.replace("\n", "\r\n"), POINTER.rstrip("\n"), POINTER.replace("git-lfs.github", "hawser.github")],
)
def test_a_pointer_tells_hash_and_size(text: str) -> None:
    assert read_pointer(text.encode()) == LargeFile(OID, 12345)


@pytest.mark.parametrize(
    "content",
    [b"", b"import airflow\n", b"\xff\xfe", POINTER.encode()[1:], POINTER.encode() + b" " * POINTER_BYTES_MAX],
)
def test_other_files_are_none(content: bytes) -> None:
    assert read_pointer(content) is None


@pytest.mark.parametrize(
    "text",
    [
        POINTER.replace("spec/v1", "spec/v2"),
        POINTER.replace("oid", "ext-0-x sha256:1\noid"),
        POINTER.replace("sha256", "md5"),
        POINTER.replace("12345", "-1"),
        POINTER.replace("12345", "9" * 30),
        POINTER.replace(OID, "../../../etc/passwd"),
        POINTER + "more\n",
    ],
)
def test_a_pointer_that_cannot_be_followed_is_an_error(text: str) -> None:
    with pytest.raises(PermanentError, match="begins as a pointer of Git LFS"):
        read_pointer(text.encode())
