"""The forms themselves: what the DAGs offer is what is read, and whatever else is sent is refused by its name."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.policy.keys import Requires, Target
from include.deploy_ops.core.text.schema import StrictModel
from include.deploy_ops.run.forms import (
    PreviewForm,
    PromotionForm,
    RequestForm,
    TargetForm,
    make_preview_params,
    make_promotion_params,
    make_request_params,
    make_target_params,
    read_form,
)

FORMS: list[tuple[type[StrictModel], dict[str, Any]]] = [
    (PreviewForm, make_preview_params()),
    (TargetForm, make_target_params()),
    (RequestForm, make_request_params()),
    (PromotionForm, make_promotion_params()),
]
NEEDED = {"branch": "dev-x", "reason": "to see it"}


def fill(kind: type[StrictModel], **params: Any) -> dict[str, Any]:
    return {**{name: value for name, value in NEEDED.items() if name in kind.model_fields}, **params}


@pytest.mark.parametrize(("kind", "params"), FORMS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_form_offers_what_is_read_with_the_same_defaults(kind: type[StrictModel], params: dict[str, Any]) -> None:
    hidden = {"action"} if kind is RequestForm else set()
    assert params.keys() == kind.model_fields.keys() - hidden
    defaults = {name: param.resolve() for name, param in params.items() if name not in NEEDED}
    assert read_form(kind, fill(kind, **defaults)) == read_form(kind, fill(kind))


def test_the_form_of_a_target_with_gates_says_what_becomes_of_them() -> None:
    gated = Target(deployment="P", branch="main", approval="none", requires=Requires(checks=("ci",)))
    strict = gated.model_copy(update={"forced": "gates"})
    for make in (make_target_params, make_request_params):
        said = [str(make(each)["reason"].description) for each in (gated, strict)]
        assert said[0].endswith("with your name. Gates that are closed are skipped, and named before it")
        assert "lets nobody skip a gate: while one is closed, the run fails" in said[1]
        free = gated.model_copy(update={"requires": None})
        assert str(make(free)["reason"].description) == str(make()["reason"].description)


def test_the_choices_are_those_of_the_dag() -> None:
    actions = [params["action"].schema["enum"] for _, params in FORMS if "action" in params]
    assert actions == [
        ["deploy", "refresh", "delete", "keep", "adopt", "resume", "verify", "mute"],
        ["deploy", "resume", "verify"],
        ["promote", "adopt"],
    ]


def list_required(params: dict[str, Any]) -> list[str]:
    """Return the fields without which Airflow's UI sends nothing: it asks for a value where a type excludes null."""
    types = {name: param.schema.get("type") for name, param in params.items()}
    return [name for name, kind in types.items() if kind and "null" not in (kind if isinstance(kind, list) else [kind])]


def test_airflow_asks_for_what_is_required_and_that_comes_first() -> None:
    assert [(list(params), list_required(params)) for _, params in FORMS] == [
        (
            ["branch", "action", "ref", "deploy_type", "reason", "wake", "dry_run", "create_if_missing", "file"],
            ["branch", "action", "deploy_type", "reason"],
        ),
        (["action", "ref", "deploy_type", "reason", "wake", "dry_run"], ["action", "deploy_type", "reason"]),
        (["ref", "deploy_type", "reason", "wake", "dry_run"], ["deploy_type", "reason"]),
        (["action", "reason", "dry_run"], ["action", "reason"]),
    ]
    empty = [(name, param.value) for _, params in FORMS for name, param in params.items() if param.value == ""]
    assert {name for name, _ in empty} == {"branch", "reason"}, "what else is required is chosen already"


@pytest.mark.parametrize(("kind", "params"), FORMS, ids=lambda each: getattr(each, "__name__", ""))
def test_what_is_left_empty_may_be_null_blank_or_not_there(kind: type[StrictModel], params: dict[str, Any]) -> None:
    optional = [name for name, param in params.items() if "null" in (param.schema.get("type") or ())]
    assert optional == [name for name in ("ref", "file") if name in params]
    for name in optional:
        for sent in (None, "", "  "):
            assert params[name].resolve(sent) == sent  # as Airflow checks it
            assert read_form(kind, fill(kind, **{name: sent})) == read_form(kind, fill(kind))


@pytest.mark.parametrize("sent", [None, "", "yes", 1])
def test_a_switch_is_not_required_and_is_on_or_off(sent: Any) -> None:
    switches = [param for _, params in FORMS for name, param in params.items() if isinstance(param.value, bool)]
    assert len(switches) == 8
    for switch in switches:
        with pytest.raises(ParamValidationError):
            switch.resolve(sent)
        assert [switch.resolve(state) for state in (True, False)] == [True, False]


def test_every_choice_has_its_words_and_every_field_plain_help() -> None:
    fields = [param for _, params in FORMS for param in params.values()]
    for param in fields:
        assert param.description
        assert "description_md" not in param.schema, "its boxes around code overlap the lines beside them"
        if isinstance(param.value, str) and "enum" in param.schema:
            assert list(param.schema["values_display"]) == param.schema["enum"]


def test_blanks_around_a_text_are_dropped_and_blank_means_the_default() -> None:
    form = read_form(
        PreviewForm, {"branch": " dev-x ", "reason": " why ", "ref": "  ", "action": "", "deploy_type": None}
    )
    assert form == PreviewForm(branch="dev-x", reason="why")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"dryrun": True}, "dryrun: unknown key; did you mean 'dry_run'?"),
        ({"dry_run": None}, "dry_run: found nothing, expected true or false"),
        ({"reason": None}, "reason: found nothing, expected text"),
        ({"reason": {"x": 1}}, "reason: found a mapping, expected text"),
        ({"branch": "dev*"}, "branch: found 'dev*', expected the name of the branch whose preview is meant"),
        ({"branch": None}, "branch: found nothing, expected text"),
        ({"branch": "dev-\udcff"}, "branch: found 'dev-\\udcff', expected text that can be written"),
        ({"ref": "\udcff"}, "ref: found '\\udcff', expected text that can be written"),
        ({"ref": ["a"]}, "ref: found a list, expected text"),
        ({"action": 3}, "action: found 3, expected one of 'deploy', 'refresh', 'delete', 'keep', 'adopt', 'resume'"),
    ],
)
def test_whatever_is_sent_is_told_by_field_found_and_expected(params: dict[str, Any], said: str) -> None:
    with pytest.raises(PermanentError) as raised:
        read_form(PreviewForm, fill(PreviewForm, **params))
    assert said in str(raised.value)
    str(raised.value).encode()


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(
        PermanentError, match=r"^wake: found 'yes', expected true or false; reason: it is missing; add it$"
    ):
        read_form(TargetForm, {"wake": "yes"})
