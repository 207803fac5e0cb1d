"""Making the notifiers that a policy names: what is none is told, with what to do."""

from __future__ import annotations

from typing import Any

import pytest

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.policy.keys import Notice
from include.deploy_ops.run.notifiers import load_notifier
from tests.worlds.doubles.notifiers import RecordingNotifier

NAMED = f"{RecordingNotifier.__module__}.RecordingNotifier"


def name(notifier: str, **arguments: Any) -> Notice:
    return Notice(notifier=notifier, arguments=arguments, on=("failure",))


def test_a_notifier_is_made_with_its_arguments() -> None:
    made = load_notifier(name(NAMED, path="/none", message="hello"))
    assert isinstance(made, RecordingNotifier)
    assert (made.path, made.message) == ("/none", "hello")


@pytest.mark.parametrize("notifier", ["nobody.Notifier", f"{RecordingNotifier.__module__}.Nobody"])
def test_what_cannot_be_imported_is_told(notifier: str) -> None:
    with pytest.raises(PolicyError, match=r"it cannot be imported: .+; correct `notify` in the policy, or install"):
        load_notifier(name(notifier))


@pytest.mark.parametrize("notifier", ["pathlib.Path", "os.getcwd"])
def test_what_is_no_notifier_is_told(notifier: str) -> None:
    with pytest.raises(PolicyError, match="no subclass of Airflow's BaseNotifier; name a notifier's class"):
        load_notifier(name(notifier))
