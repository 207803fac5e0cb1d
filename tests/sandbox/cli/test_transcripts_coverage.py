"""Of the 119 recorded cases of the Astro CLI 1.45.0 each is a row of a table, or stands here with the reason."""

from __future__ import annotations

from tests.sandbox.cli import test_transcripts_deploy as test_cli_transcripts_deploy
from tests.sandbox.cli import test_transcripts_deployment as test_cli_transcripts_deployment
from tests.sandbox.cli import test_transcripts_faults as test_cli_transcripts_faults

RECORDED = 119
NO_CALL = "neither the product nor the demo calls this command, and the stand-in does not have it"
NO_ROWS = {
    "create without proxy": "the stand-in asks nobody but the sandbox; test_astro_cli_endings judges the text",
    "create, broken YAML": "the product dumps its YAML itself; test_astro_cli_endings judges the parser's text",
    "api cloud deploys": NO_CALL,
    "variable list": NO_CALL,
    "variable create": NO_CALL,
    "variable create again": NO_CALL,
    ".dockerignore afterwards": "no call, but what a file holds: test_cli_deploy",
    "deploy records afterwards": "no call, but what Astro remembers: test_cli_deploy",
}


def test_every_recorded_case_is_a_row_or_stands_here() -> None:
    modules = (test_cli_transcripts_deploy, test_cli_transcripts_deployment, test_cli_transcripts_faults)
    rows = [case for module in modules for case in module.CASES]
    recorded = {case.name for case in rows if case.is_recorded}

    assert len({case.name for case in rows}) == len(rows)
    assert recorded.isdisjoint(NO_ROWS)
    assert len(recorded) + len(NO_ROWS) == RECORDED
