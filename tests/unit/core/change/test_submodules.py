"""Which repository a submodule's URL means: only one on the project's own host."""

from __future__ import annotations

import pytest

from include.deploy_ops.core.change.submodules import find_repository, replace_repository

CLONE = "https://github.example:8443/acme/data.git"


@pytest.mark.parametrize(
    "url",
    [
        "https://github.example/acme/lib.git",
        "https://github.example:8443/acme/lib",
        "https://who:secret@GitHub.example/acme/lib.git/",
        "ssh://git@github.example:22/acme/lib.git",
        "git@github.example:acme/lib.git",
        "github.example:acme/lib",
        "../lib.git",
        "../../acme/lib",
        "./../lib.git",
    ],
)
def test_a_url_of_the_host_names_its_repository(url: str) -> None:
    assert find_repository(url, CLONE) == "acme/lib"


@pytest.mark.parametrize(
    "url",
    [
        *("", ".", "..", "../", "../..", "../../..", "../../../../acme/lib", "./lib", "../../lib", "/acme/lib"),
        *("https://github.example.evil/acme/lib", "https://evil/github.example/acme/lib", "git@evil:acme/lib"),
        *("https://github.example@evil/acme/lib", "https://evil#@github.example/acme/lib"),
        *("file:///github.example/acme/lib", "ext::sh -c x", "https://[/acme/lib", "--upload-pack=x"),
        *("https://github.example/acme/lib/more", "https://github.example/acme", "https://github.example/acme/.."),
        *("https://github.example/acme/lib?x=y", "git@github.example:acme/l b"),
        *("git@github.example:/../acme/lib", "https://github.example/../acme/lib", "../lib\nx"),
    ],
)
def test_any_other_names_none(url: str) -> None:
    assert find_repository(url, CLONE) is None


def test_a_host_may_serve_github_below_a_folder() -> None:
    clone = "https://host/git/acme/data.git"
    assert find_repository("../lib", clone) == "acme/lib"
    assert find_repository("https://host/git/acme/lib", clone) == "acme/lib"
    assert find_repository("https://host/acme/lib", clone) is None


def test_the_address_is_made_of_the_projects_own() -> None:
    assert replace_repository(CLONE, "other/Lib") == "https://github.example:8443/other/Lib.git"
