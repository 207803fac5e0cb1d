"""All parts of the sandbox, made to know each other and reset together. It serves nothing itself."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from sandbox.airflow import Airflows, Children
from sandbox.astro import Astro
from sandbox.ci import CI
from sandbox.github import GitHub
from sandbox.identity import OWNER, REPOSITORY
from sandbox.long_lived import seed_long_lived
from sandbox.registry import Registry

if TYPE_CHECKING:
    from sandbox.data_dir import DataDir
    from sandbox.settings import Settings


class World:
    """A GitHub whose pushes a CI builds into a registry, and an Astro that deploys from that registry into Airflows.

    :param data_dir: each part has a folder of its own in it.
    :param settings: shared by all parts; `reset` returns them to the values they have now.
    :param base_url: the server's URL, without a slash at its end.
    """

    def __init__(self, data_dir: DataDir, settings: Settings, base_url: str) -> None:
        self._data_dir = data_dir
        self._first_settings = replace(settings)
        self.settings = settings
        self.registry = Registry(data_dir.path / "registry", settings, base_url)
        self.github = GitHub(data_dir.path / "github", settings, base_url)
        self.astro = Astro(data_dir.path / "astro", settings, base_url, self.registry)
        self.airflows = Airflows(data_dir.path, settings, self.astro, Children(settings))
        self.ci = CI(settings, self.github.git_dir, self.registry)
        self.github.on_push.append(self.ci.queue_build)

    def reset(self, *, is_astro_empty: bool = False) -> None:
        """Forget everything that happened and seed anew; Astro with two Deployments, unless it shall have none."""
        for field in fields(self.settings):
            setattr(self.settings, field.name, getattr(self._first_settings, field.name))
        self.airflows.end()
        self._data_dir.empty()
        self.registry.reset()
        self.github.reset()
        self.astro.reset()
        self.ci.reset()
        self._settle(REPOSITORY, has_deployments=not is_astro_empty)

    def add_repository(self, name: str, *, has_deployments: bool = True) -> bool:
        """Seed another repository, with two Deployments of its own unless it shall have none.

        :return: whether the name was free.
        """
        is_free = self.github.add(name)
        if is_free:
            self._settle(name, has_deployments=has_deployments, suffix=f" of {name}")
        return is_free

    def _settle(self, name: str, *, has_deployments: bool, suffix: str = "") -> None:
        """Let a seeded repository have what it had since long: images, and two Deployments."""
        full_name = f"{OWNER}/{name}"
        self.ci.build_heads(full_name)
        if has_deployments:
            seed_long_lived(self.astro, self.ci, full_name, self.github.git_dir(full_name), suffix)
