"""Find an image in a registry, and copy it to another without an engine, a disk or much memory.

It builds nothing and does not wait for an image: callers ask again.
"""

from __future__ import annotations

import functools
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from airflow.sdk import BaseHook

from include.deploy_ops.core.errors import ImageRefusedError, ObservationError, OtherPlatformError, RetryableError
from include.deploy_ops.hooks.astro.connection import read_astro_connection
from include.deploy_ops.hooks.registry.login_hosts import LoginHosts, find_places
from include.deploy_ops.hooks.registry.logins import ANONYMOUS, Login, Logins, read_registry_connection
from include.deploy_ops.hooks.registry.repository import ImageRepository, Manifest, parse_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import Connection

RUNTIME_LABEL = "io.astronomer.docker.runtime.version"
_IMAGE_TYPES = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
_INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
_PLATFORM = ("linux", "amd64")  # what Astro runs
_PLATFORM_NAME = "/".join(_PLATFORM)
_VARIANTS = ("", "v1", "v2", "v3", "v4")
_TIMEOUT_S = 60.0
_PROGRESS_INTERVAL_S = 1.0
_LARGEST_CONFIG_BYTES = 8 << 20  # it is read into memory, layers are not
_BLOBS_MAX = 1000  # Docker itself takes 127 layers
_MIB = 1 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image for linux/amd64, also where the name stands for several platforms.

    `digest` is that of its own manifest, `size_bytes` what its config and layers take in the registry,
    `runtime_version` the label that Astro's Runtime images carry, None without it.
    """

    digest: str
    runtime_version: str | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a copy moved: bytes that went through us, bytes that the registry mounted, blobs that were there already."""

    digest: str
    bytes_copied: int
    bytes_mounted: int
    blobs_present: int
    seconds: float


class RegistryHook(BaseHook):
    """Image registries, by the distribution protocol; plain HTTP to this machine, HTTPS to all others.

    Every method raises ImageRefusedError when the registry refuses us or has nothing that we can use, RateLimitError
    for 429, RetryableError for 5xx, time limits and broken connections, ObservationError for an answer that cannot be,
    and PermanentError for a text that is no image's name.

    :param registry_conn_id: the Airflow connection whose login is used to pull; None pulls anonymously. What it gives,
        `logins.py` says.
    :param timeout_s: seconds for each request to connect, and between two pieces of an answer.
    :param login_hosts: further hosts that may be told a registry's login, by the registry's host.
    :param logins: keeps logins that last some hours, for whoever makes a hook for each look.
    """

    def __init__(
        self,
        registry_conn_id: str | None,
        timeout_s: float = _TIMEOUT_S,
        *,
        login_hosts: LoginHosts | None = None,
        logins: Logins | None = None,
    ) -> None:
        super().__init__()
        self.registry_conn_id = registry_conn_id
        self.login_hosts = login_hosts or {}
        self._timeout_s = timeout_s
        self._logins = logins or Logins()

    def find_image(self, reference: str) -> FoundImage | None:
        """Look an image up; None only if the registry itself says that it knows no such manifest."""
        with self._open_source(reference) as repository:
            manifest = _read_image_manifest(repository)
            return None if manifest is None else _describe_image(repository, manifest)

    def has_image(self, reference: str) -> bool:
        """Whether a name stands for anything, by a HEAD of its manifest: nothing of the image is read."""
        with self._open_source(reference) as repository:
            return repository.has_manifest(repository.image.tag)

    def copy_image(
        self,
        source: str,
        target: str,
        username: str | None,
        password: str | None,
        on_progress: Callable[[str], None] | None = None,
    ) -> CopyReport:
        """Copy an image for linux/amd64, digest and all, blob by blob; what the target holds is not moved again.

        :param username: with `password`, the login to the target's registry; None pushes anonymously.
        :param on_progress: called with a line per blob, and once a second while a blob moves; what it raises ends the
            copy and passes through. A copy that broke can simply be repeated: its whole blobs are there already.
        """
        destination = self._open(target, lambda _: Login(username, password))
        with self._open_source(source) as origin, destination:
            manifest = _read_image_manifest(origin)
            if manifest is None:
                raise RetryableError(f"The image {origin.image} is no longer in its registry. Look for it again.")
            return _Copy(origin, destination, on_progress or _ignore_line).run(manifest)

    def _open_source(self, reference: str) -> ImageRepository:
        return self._open(reference, self._take_login)

    def _open(self, reference: str, take_login: Callable[[str], Login]) -> ImageRepository:
        image = parse_image(reference)
        places = find_places(image.host, self.login_hosts)
        return ImageRepository(image, lambda: take_login(image.host), self._timeout_s, places)

    def _take_login(self, host: str) -> Login:
        return self._logins.take(self._connection, host) if self.registry_conn_id is not None else ANONYMOUS

    @functools.cached_property
    def _connection(self) -> Connection:
        return read_registry_connection(str(self.registry_conn_id))


class AstroRegistryHook(RegistryHook):
    """The registry that holds the images of Astro's Deployments, opened as the Astro CLI opens it to push.

    It is not known whether Astro lets every such token pull, too: be ready for ImageRefusedError.

    :param astro_conn_id: the Airflow connection that holds the API token; `hooks/astro/connection.py` says what else.
    """

    def __init__(
        self, astro_conn_id: str, timeout_s: float = _TIMEOUT_S, *, login_hosts: LoginHosts | None = None
    ) -> None:
        super().__init__(None, timeout_s, login_hosts=login_hosts)
        self.astro_conn_id = astro_conn_id

    def _take_login(self, host: str) -> Login:
        del host
        return self._astro_login

    @functools.cached_property
    def _astro_login(self) -> Login:
        return Login("cli", f"Bearer {read_astro_connection(self.astro_conn_id).token}")


class _Copy:
    """One copy under way: moves the blobs and counts how each came."""

    def __init__(
        self, origin: ImageRepository, destination: ImageRepository, on_progress: Callable[[str], None]
    ) -> None:
        self._origin = origin
        self._destination = destination
        self._tell = on_progress
        self._bytes: Counter[str] = Counter()
        self._blobs: Counter[str] = Counter()
        # A mount is worth asking for once: a registry that would rather not says so to every blob.
        self._can_mount = origin.image.host == destination.image.host

    def run(self, manifest: Manifest) -> CopyReport:
        started = time.monotonic()
        blobs = {blob["digest"]: int(blob["size"]) for blob in _list_blobs(manifest)}
        for digest, size_bytes in blobs.items():
            way = self._copy_blob(digest, size_bytes)
            self._blobs[way] += 1
            self._bytes[way] += size_bytes
            self._tell(f"{digest[7:19]}: {way} ({size_bytes / _MIB:.1f} MiB)")
        self._destination.write_manifest(self._destination.image.tag, manifest)
        self._check(manifest)
        return CopyReport(
            digest=manifest.digest,
            bytes_copied=self._bytes["copied"],
            bytes_mounted=self._bytes["mounted"],
            blobs_present=self._blobs["present"],
            seconds=time.monotonic() - started,
        )

    def _copy_blob(self, digest: str, size_bytes: int) -> str:
        if self._destination.has_blob(digest):
            return "present"
        if self._can_mount:
            self._can_mount = self._destination.mount_blob(digest, self._origin.image.repository)
            if self._can_mount:
                return "mounted"
        self._destination.push_blob(digest, _Blob(self._origin, digest, size_bytes, self._tell))
        return "copied"

    def _check(self, manifest: Manifest) -> None:
        """Read the manifest back, where the registry lets us: it has said already that it took these bytes."""
        try:
            stored = self._destination.read_manifest(self._destination.image.tag)
        except ImageRefusedError as error:
            self._tell(f"not read back: {error}")
            return
        if stored is None or stored.digest != manifest.digest:
            found = "nothing" if stored is None else stored.digest
            raise RetryableError(f"{self._destination.image} holds {found} after copying {manifest.digest} there.")


@dataclass(frozen=True, slots=True)
class _Blob:
    """A blob on its way, with a length, so that it is sent without chunked encoding, which not all registries take.

    Each iteration pulls it anew, so a push that has to be sent again is whole again. Nothing of it may be called as a
    file's methods are: requests would take it for one.
    """

    origin: ImageRepository
    digest: str
    size_bytes: int
    on_progress: Callable[[str], None]

    def __len__(self) -> int:
        return self.size_bytes

    def __iter__(self) -> Iterator[bytes]:
        moved, told = 0, time.monotonic()
        for piece in self.origin.stream_blob(self.digest, self.size_bytes):
            yield piece
            moved += len(piece)
            if time.monotonic() - told >= _PROGRESS_INTERVAL_S:
                told = time.monotonic()
                self.on_progress(f"{self.digest[7:19]}: {moved / _MIB:.1f} of {self.size_bytes / _MIB:.1f} MiB")


def _read_image_manifest(repository: ImageRepository) -> Manifest | None:
    """Return the manifest that the name stands for on linux/amd64; None if there is no such name."""
    manifest = repository.read_manifest(repository.image.tag)
    if manifest is None:
        return None
    if manifest.media_type in _INDEX_TYPES:
        manifest = _read_platform_manifest(repository, manifest)
    if manifest.media_type not in _IMAGE_TYPES:
        raise ImageRefusedError(
            f"{repository.image} is of type {manifest.media_type!r}; build it as an OCI or Docker schema 2 image."
        )
    return manifest


def _read_platform_manifest(repository: ImageRepository, index: Manifest) -> Manifest:
    # What BuildKit attests of an image stands beside it, for the platform unknown/unknown.
    listed = _list_entries(index, "manifests")
    entries = [entry for entry in listed if _rank_platform(entry) is not None] or _list_untold(listed)
    if not entries:
        raise OtherPlatformError(f"{repository.image} has no image for {_PLATFORM_NAME}; build it for that too.")
    digest = min(entries, key=lambda entry: _rank_platform(entry) or 0).get("digest")
    if not _is_digest(digest):
        raise ObservationError(f"{repository.image} lists {digest!r:.80} where a manifest's digest is expected.")
    manifest = repository.read_manifest(digest)
    if manifest is None:
        raise ObservationError(f"{repository.image} lists the manifest {digest}, which its registry does not know.")
    return manifest


def _list_untold(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the one entry that does not say for which platform it is, as OCI allows; its config says it then.

    Of several nobody knows which is the image. What has a type of its own is no image, but something about one.
    """
    untold = [each for each in entries if each.get("platform") is None and "artifactType" not in each]
    return untold if len(untold) == 1 else []


def _rank_platform(entry: dict[str, Any]) -> int | None:
    """Return how much of a machine an image for linux/amd64 wants, none first; None for one that is for another.

    Where there is a choice it is that which every machine runs; v2 to v4 are later x86-64 levels.
    """
    platform = entry.get("platform")
    if not isinstance(platform, dict) or (platform.get("os"), platform.get("architecture")) != _PLATFORM:
        return None
    variant = platform.get("variant") or ""
    return _VARIANTS.index(variant) if variant in _VARIANTS else None


def _describe_image(repository: ImageRepository, manifest: Manifest) -> FoundImage:
    blobs = _list_blobs(manifest)
    config = blobs[0]
    if config["size"] > _LARGEST_CONFIG_BYTES:
        raise ImageRefusedError(f"{repository.image} has a config of {config['size']} bytes; that is no usual image.")
    described = repository.read_json_blob(config["digest"], config["size"])
    platform = described.get("os", _PLATFORM[0]), described.get("architecture", _PLATFORM[1])
    if platform != _PLATFORM:  # as of a machine with an ARM processor, where nobody said for which to build
        found = "/".join(map(str, platform))
        raise OtherPlatformError(f"{repository.image} is for {found:.80}; build it for {_PLATFORM_NAME}.")
    return FoundImage(manifest.digest, _read_label(described), sum(blob["size"] for blob in blobs))


def _read_label(config: dict[str, Any]) -> str | None:
    """Return the runtime's version by the image's label; None where there is none, or what no label can be."""
    value: Any = config
    for key in ("config", "Labels", RUNTIME_LABEL):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def _list_blobs(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the descriptors of the config, which comes first, and of the layers.

    :raises ObservationError: one of them lacks its digest or size.
    """
    blobs = [manifest.fields.get("config"), *_list_entries(manifest, "layers")]
    if len(blobs) > _BLOBS_MAX:
        raise ObservationError(f"The manifest {manifest.digest} has {len(blobs)} blobs; no image has so many.")
    for blob in blobs:
        if not _is_descriptor(blob):
            raise ObservationError(
                f"The manifest {manifest.digest} has {blob!r:.200} where a digest and a size are expected."
            )
    return [blob for blob in blobs if isinstance(blob, dict)]


def _is_descriptor(blob: object) -> bool:
    return isinstance(blob, dict) and _is_size(blob.get("size")) and _is_digest(blob.get("digest"))


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _list_entries(manifest: Manifest, key: str) -> list[dict[str, Any]]:
    entries = manifest.fields.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ObservationError(
            f"The manifest {manifest.digest} has {entries!r:.200} where a list of {key} is expected."
        )
    return entries


def _is_digest(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def _ignore_line(line: str) -> None:
    del line
