"""What a policy may not say otherwise where it is only asked about: by which ways, of what and whom anything is read.

A text that may name another connection would ask there with rights that nobody gave to whoever wrote it. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.text.schema import Location, format_location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.deploy_ops.core.policy.keys import Project

KEPT_KEYS = ("repository", "github_conn_id", "astro_conn_id", "registry_conn_id", "login_hosts", "image", "notify")
"""Keys of a project that are to be as they are in force."""


def find_moved_keys(before: Project, after: Project) -> tuple[str, ...]:
    """Return the keys, by their path below the project, in which the two differ and may not."""
    ours, theirs = dict(_list_kept(before)), dict(_list_kept(after))
    return tuple(format_location(key) for key in (ours | theirs) if ours.get(key) != theirs.get(key))


def _list_kept(project: Project) -> Iterator[tuple[Location, Any]]:
    for key in KEPT_KEYS:
        yield (key,), getattr(project, key)
    for name in ("", *project.targets):
        verify = project.find_verify(name)
        if verify is not None and verify.airflow_conn_id is not None:
            above = ("targets", name) if name else ("previews",)
            yield (*above, "verify", "airflow_conn_id"), verify.airflow_conn_id
