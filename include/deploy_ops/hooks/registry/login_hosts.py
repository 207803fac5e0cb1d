"""Which hosts may be told a registry's login: its own, those that are known to belong to it, and those of the policy.

A registry names in its answers where tokens are fetched and where a blob is uploaded. Were it believed, whoever answers
in its place would be sent the password.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

DOCKER_HUB = "registry-1.docker.io"
"""What `docker.io`, and an image's name without a host, stand for."""

LoginHosts: TypeAlias = Mapping[str, Collection[str]]
"""Hosts that may be told a registry's login, by the registry's host, as the policy names them."""

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost"})
_HTTPS_PORT = 443

# Registries whose token service has a host of its own. All others that we know (GHCR, Quay, ACR, ECR, Artifact
# Registry, Harbor) have it on the registry's. A dot at the beginning stands for every host of that domain.
_KNOWN: Mapping[str, tuple[str, ...]] = {
    DOCKER_HUB: ("auth.docker.io",),
    "registry.gitlab.com": ("gitlab.com",),
    "images.astronomer.cloud": (".astronomer.io", ".astronomer.cloud"),
}


def is_loopback(host: str | None) -> bool:
    """Whether a host, with or without a port, is this machine."""
    return (host or "").partition(":")[0] in _LOOPBACK_HOSTS


@dataclass(frozen=True, slots=True)
class LoginPlaces:
    """Where one registry's login may be sent. `named` are the policy's hosts for it."""

    registry: str
    named: frozenset[str] = field(default_factory=frozenset)

    def has(self, url: str) -> bool:
        """Whether a request to this URL may carry the login; never without encryption, but on this machine."""
        parts = urlsplit(url)
        is_local = is_loopback(self.registry) and is_loopback(parts.hostname)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
            return False
        host = _name_host(parts.netloc)
        allowed = {_name_host(each) for each in (self.registry, *self.named)}
        known = _KNOWN.get(_name_host(self.registry), ())
        return host in allowed or any(_is_of(host, each) for each in known)

    def advise(self, url: str) -> str:
        """Return what to do about a host that is not told the login."""
        return (
            f"It was not sent to {urlsplit(url).netloc!r:.100}, which is not the registry's own host; if it belongs to"
            f" the registry, name it in the policy: login_hosts: {{{self.registry!r}: [<host>]}}"
        )


def find_places(registry: str, login_hosts: LoginHosts) -> LoginPlaces:
    """Return where the login of a registry may be sent. :param registry: its host as an image's parsed name has it."""
    alias = "docker.io" if registry == DOCKER_HUB else registry
    return LoginPlaces(registry, frozenset({*login_hosts.get(registry, ()), *login_hosts.get(alias, ())}))


def _name_host(netloc: str) -> str:
    """Return the host in lower case, and its port unless it is HTTPS's; what stands before an `@` makes another one."""
    return netloc.lower().removesuffix(f":{_HTTPS_PORT}")


def _is_of(host: str, known: str) -> bool:
    return host.endswith(known) if known.startswith(".") else host == known
