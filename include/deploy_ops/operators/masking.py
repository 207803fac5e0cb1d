"""Mask what may not leave Airflow in texts of tools: the secrets that this process has seen, and those in URLs."""

from __future__ import annotations

from airflow.sdk.log import redact  # type: ignore[attr-defined]  # Airflow has no other public place

from include.deploy_ops.redaction import redact_urls


def mask_text(text: str) -> str:
    """Return the text as people may read it anywhere: Airflow masks its logs alone."""
    return redact_urls(str(redact(text)))
