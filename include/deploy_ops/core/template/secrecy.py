"""Which variables of a Deployment a template may copy: none that is a secret, is named like one or looks like one.

Judges too much rather than too little: what it keeps back is copied by a person, who writes it into the template.
"""

from __future__ import annotations

import re

from include.deploy_ops.core.environment.mapping import is_about_secrets, name_key

_WORDS = (
    r"PASSW|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|PRIVATE|HOOK|API_?KEY|ACCESS_?KEY|ACCOUNT_?KEY|SIGNATURE|DSN"
    r"|SHARED_?KEY|(?:PG|DB|SQL)_?PASS"
)
_NAMED_LIKE = re.compile(rf"{_WORDS}|(?:^|_)(?:KEYS?|CONN|PWD|PASS|PAT|SK|PK|AUTH)$", re.IGNORECASE)
_HELD_WITHIN = re.compile(
    rf"(?:{_WORDS}|\b(?:PWD|PASS)|[?&](?:KEY|SIG|AUTH))[\w.-]{{0,40}}[\"']?\s{{0,4}}[:=]", re.IGNORECASE
)
_HOOK = re.compile(r"hook", re.IGNORECASE)
_CONNECTION = name_key("connections", "")


def is_connection(key: str) -> bool:
    """Whether the variable is a connection of Airflow, whose password stands in it."""
    return key.upper().startswith(_CONNECTION)


def is_named_like_secret(key: str) -> bool:
    """Whether the variable's name alone says that its value is not to be copied."""
    return is_connection(key) or is_about_secrets(key) or _NAMED_LIKE.search(key) is not None


def holds_secret(text: str) -> bool:
    """Whether a plain value holds a login, the address of a webhook, or something that is named like a secret."""
    return any(map(_holds_login, text.split())) or _HELD_WITHIN.search(text) is not None


def _holds_login(word: str) -> bool:
    """Whether a password may stand before a host, as in `://me:a/b?c@host`, `me:a@host` or Oracle's `me/a@host`.

    A webhook's address is a login by itself.
    """
    before, _, _ = word.rpartition("@")
    return ":" in before or "/" in before or ("://" in word and _HOOK.search(word) is not None)


def check_copied(text: str) -> str:
    """Return the key of a variable whose plain value may be copied; raises ValueError for any other."""
    if not text or "=" in text or any(each.isspace() for each in text):
        raise ValueError("the name of an environment variable")
    if is_connection(text):
        raise ValueError(
            f"the key of a plain variable: what begins with {_CONNECTION} is a connection, and is never copied; "
            "map one by 'previews.environment'"
        )
    if is_named_like_secret(text):
        raise ValueError(
            "the key of a plain variable: this one is named like a secret, and is never copied; map one by "
            "'previews.environment', or, if it is none, write it into the template on trunk"
        )
    return text
