"""The forms themselves: what the DAGs offer is what is read, and whatever else is sent is refused by its name."""

from __future__ import annotations

from typing import Any

import pytest

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.text.schema import StrictModel
from include.deploy_ops.run.forms import (
    PreviewForm,
    PromotionForm,
    RequestForm,
    TargetForm,
    make_preview_params,
    make_promotion_params,
    make_target_params,
    read_form,
)

FORMS: list[tuple[type[StrictModel], dict[str, Any]]] = [
    (PreviewForm, make_preview_params()),
    (TargetForm, make_target_params()),
    (RequestForm, make_target_params(RequestForm)),
    (PromotionForm, make_promotion_params()),
]
NEEDED = {"branch": "dev-x", "reason": "to see it"}


def fill(kind: type[StrictModel], **params: Any) -> dict[str, Any]:
    return {**{name: value for name, value in NEEDED.items() if name in kind.model_fields}, **params}


@pytest.mark.parametrize(("kind", "params"), FORMS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_form_offers_what_is_read_with_the_same_defaults(kind: type[StrictModel], params: dict[str, Any]) -> None:
    assert params.keys() == kind.model_fields.keys()
    defaults = {name: param.resolve() for name, param in params.items() if name not in NEEDED}
    assert read_form(kind, fill(kind, **defaults)) == read_form(kind, fill(kind))


def test_the_choices_are_those_of_the_dag() -> None:
    actions = [params["action"].schema["enum"] for _, params in FORMS]
    assert actions == [
        ["deploy", "delete", "keep", "adopt", "resume"],
        ["deploy", "resume"],
        ["deploy"],
        ["promote", "adopt"],
    ]


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
        ({"action": 3}, "action: found 3, expected one of 'deploy', 'delete', 'keep', 'adopt' or 'resume'"),
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
