"""Makes the Airflow notifiers that the policy names; sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.bases.notifier import BaseNotifier
from airflow.sdk.module_loading import import_string  # type: ignore[attr-defined]  # Airflow has no other public place

from include.deploy_ops.core.errors import PolicyError

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Notice


def load_notifier(notice: Notice) -> BaseNotifier:
    """Return the notifier that the policy names, with its arguments. Raises PolicyError if it is none."""
    try:
        kind = import_string(notice.notifier)
    except ImportError as error:
        raise PolicyError(
            f"it cannot be imported: {error}; correct `notify` in the policy, or install the provider"
        ) from error
    if not isinstance(kind, type) or not issubclass(kind, BaseNotifier):
        raise PolicyError("it is no subclass of Airflow's BaseNotifier; name a notifier's class in the policy")
    return kind(**notice.arguments)
