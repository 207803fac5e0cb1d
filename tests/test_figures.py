"""The bounds and times that the pages tell in figures are those of the code: what one of both says alone fails."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dags import doctor, orphans
from include.deploy_ops.checkout import worktree
from include.deploy_ops.core import model, naming
from include.deploy_ops.core.change import change_type
from include.deploy_ops.core.cleanup import use, verdict
from include.deploy_ops.core.doctor import astro as astro_checks
from include.deploy_ops.core.doctor import github as github_checks
from include.deploy_ops.core.doctor import here as here_checks
from include.deploy_ops.core.environment import rotation, sources
from include.deploy_ops.core.feedback import budget, commands, comparison, text
from include.deploy_ops.core.plan import continuity, pulse, remembered, schedule
from include.deploy_ops.core.policy import values
from include.deploy_ops.core.text import document, markdown
from include.deploy_ops.core.verification import smoke
from include.deploy_ops.core.view import cost, following, past_deploys, rows
from include.deploy_ops.hooks import patience
from include.deploy_ops.hooks.airflow import answers, api
from include.deploy_ops.hooks.astro import http as astro_http
from include.deploy_ops.hooks.github import commands as comments
from include.deploy_ops.hooks.github import inspection, trees
from include.deploy_ops.hooks.registry import logins
from include.deploy_ops.observation import concerns, images, pulls
from include.deploy_ops.observation.doctor import astro as astro_looks
from include.deploy_ops.observation.doctor import github as github_looks
from include.deploy_ops.observation.doctor import questions, trunk
from include.deploy_ops.observation.doctor import template as template_looks
from include.deploy_ops.operators import answer, notify
from include.deploy_ops.operators.cleanup import answer as cleanup_answer
from include.deploy_ops.operators.commands import hear
from include.deploy_ops.operators.control import pausing
from include.deploy_ops.operators.deploy import deploy
from include.deploy_ops.run import command_runs, snapshots
from include.deploy_ops.triggers import awaited_checks, deferral, heads, repository

DOCS = Path(__file__).parents[1] / "docs"
S, MIN, H, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
KIB, MIB = 1 << 10, 1 << 20

FIGURES: tuple[tuple[str, str, Any, Any], ...] = (
    ("using", "for 30 days after its last change", following.FOLLOWED_FOR, 30 * DAY),
    ("using", "of the 50 newest that were merged", pulls.MERGED_MAX, 50),
    ("using", "*Deploys* lists the last thirty", past_deploys.DEPLOYS_MAX, 30),
    ("using", "some seven seconds after the question appeared", deferral.FIRST_EVENT_S, 7.0),
    ("using", "GitHub's answer counts for five minutes", hear.KNOWN_FOR, 5 * MIN),
    ("using", "that are read within half an hour", commands.AGE_MAX, MIN * 30),
    ("using", "One reply on a pull request and hour", commands.QUIET, H),
    ("using", "or of the last quarter of a day", cost.TOLD_EVERY_S, 6 * 3600),
    ("using", "shown for a day", rows.REMOVED_FOR, DAY),
    ("operating", "every five minutes while anything is at work or held", pulse.OPEN_AGAIN, 5 * MIN),
    ("operating", "and once an hour otherwise", pulse.RESYNC, H),
    ("operating", "at both each minute at least", repository.PROBE_INTERVAL_S, 60.0),
    ("operating", "300 times a minute at most", repository.REQUESTS_PER_MINUTE_MAX, 300.0),
    ("operating", "asks Astro 20 times a second at most", astro_http.REQUESTS_PER_S_MAX, 20),
    ("operating", "what is left 15 seconds later", schedule.GO_ON, 15 * S),
    ("operating", "After a pass of more than two seconds", pulse.LONG_PASS, 2 * S),
    ("operating", "three times as long, half a minute at most", (pulse.REST_TIMES, pulse.REST_MAX), (3, 30 * S)),
    ("operating", "tried after 1, 2, 4 … 60 minutes", schedule.DELAY_MINUTES_MAX, 60),
    ("operating", "per preview, the newest 50", remembered.REPAIRED_MAX, 50),
    ("operating", "256 KiB at the most, beyond which a pass is not kept", snapshots.BYTES_MAX, 256 * KIB),
    ("operating", "wakes them for eight hours", deploy.WAKE_FOR, 8 * H),
    ("operating", "Without an answer for 23 hours", cleanup_answer.ANSWER_TIMEOUT, 23 * H),
    ("operating", "`delete_notice` (an hour at least)", verdict.OVERDUE_MIN, H),
    ("operating", "every five minutes at most, and whenever one comes", cost.COUNTED_EVERY, 5 * MIN),
    ("operating", "is asked, once an hour at most", use.ASKED_AGAIN, H),
    ("operating", "the last one is more than two hours old", continuity.GAP_MAX, 2 * H),
    ("operating", "for a day the brake lets no delete", continuity.DOUBTED_FOR, DAY),
    ("operating", "(Mondays 06:00 UTC", orphans.WEEKLY_CRON, "0 6 * * 1"),
    ("operating", "looks daily at 04:30 UTC", doctor.DAILY_CRON, "30 4 * * *"),
    ("operating", "is named once a day in the run's report", comparison.LACK_REMEMBERED, DAY),
    (
        "operating",
        "one write a second and 400 an hour",
        (budget.SECONDS_BETWEEN, budget.WRITES_PER_HOUR_MAX),
        (1.0, 400),
    ),
    ("operating", "do not reach back an hour", commands.LOOKED_FOR, H),
    ("operating", "reads further pages, ten at the most", comments.PAGES_MAX, 10),
    ("operating", "A run looks at ten comments", hear.LOOKED_AT_MAX, 10),
    ("operating", "is tried again after two minutes", command_runs.AGAIN, 2 * MIN),
    ("operating", "and not after a day", commands.LISTED_FOR, DAY),
    ("operating", "less than 2 GiB where worktrees lie", here_checks.DISK_WARN, 2048 * MIB),
    ("operating", "it fails below 256 MiB", here_checks.DISK_FAIL, 256 * MIB),
    ("operating", "more than 15 seconds from what", here_checks.SKEW_WARN_S, 15.0),
    ("operating", "it fails from a minute on", here_checks.SKEW_FAIL_S, 60.0),
    ("operating", "nobody looked for two minutes longer", here_checks.LATE, 2 * MIN),
    ("operating", "called the CLI in a week", here_checks.POOL_PROOF_MAX, 7 * DAY),
    ("operating", "hangs is logged after at most 20 seconds", notify.NOTICE_TIMEOUT_S, 20.0),
    ("operating", "then once a day until a pass succeeds", notify.OUTAGE_REMINDER, DAY),
    ("operating", "after two in a row Astro is asked no more", questions.SILENCES_MAX, 2),
    ("operating", "eight GETs to Astro", astro_looks.ASTRO_REQUESTS_MAX, 8),
    ("operating", "and two for the template's", template_looks.ASTRO_REQUESTS_MAX, 2),
    ("operating", "five of GitHub for trunk's head", trunk.GITHUB_REQUESTS_MAX, 5),
    ("operating", "it ends within 14 days, by its own `exp`", astro_checks.NOTICE, 14 * DAY),
    ("operating", "within 14 days; over", github_checks.ENDS_SOON, 14 * DAY),
    ("operating", "no more than 60 of the hour's requests", inspection.REQUESTS_MAX, 60),
    ("operating", "The first 10 are looked at", github_looks.BRANCHES_MAX, 10),
    ("operating", "none of the last three pull requests", github_looks.HEADS_MAX, 3),
    ("operating", "nor of one of the ten commits before it", images.ANCESTORS_MAX, 10),
    ("policy", "at most 40 characters", values.NAME_LENGTH_MAX, 40),
    ("policy", "a rule has at most 1,024 bytes", model.RULE_LENGTH_MAX, 1024),
    ("policy", "at most 128 KiB, 64 levels", (document.LENGTH_MAX, document.DEPTH_MAX), (128 * KIB, 64)),
    ("policy", "and 20,000 keys and values", document.VALUES_MAX, 20_000),
    ("policy", "ends the wait within half a minute", heads.HEADS_INTERVAL_S < 30, True),
    ("policy", "At most 20 submodules", worktree.SUBMODULES_MAX, 20),
    ("policy", "They count to the 1 GiB of a checkout", worktree.BYTES_MAX, 1024 * MIB),
    ("policy", "(at most 40 of `a-z`", naming.SLUG_LENGTH_MAX, 40),
    ("policy", "Of the commits that wait, 20 are looked at", awaited_checks.HEADS_MAX, 20),
    ("policy", "about 50 branches and 500 folders at most", (concerns.ASKED_MAX, concerns.TREES_MAX), (50, 500)),
    ("policy", "in which over 100 folders differ", change_type.CONCERNED_FOLDERS_MAX, 100),
    ("policy", "A value has at most 64 KiB", sources.VALUE_BYTES_MAX, 64 * KIB),
    ("policy", "all together at most 512 KiB", sources.TOTAL_BYTES_MAX, 512 * KIB),
    ("policy", "reaches every preview within an hour", rotation.REREAD_AFTER < H, True),
    ("policy", "at most 4096 characters as JSON", values.CONF_LENGTH_MAX, 4096),
    ("policy", "at most ten of them, by a run id", smoke.SMOKE_MAX, 10),
    ("policy", "it tries three times", pausing.TRIES_MAX, 3),
    ("policy", "counts from 4 live previews up", schedule.FRACTION_FROM_LIVE, 4),
    ("security", "5,000 DAGs, 200 import errors", (api.DAGS_MAX, api.FAULTS_MAX), (5000, 200)),
    ("security", "16 KiB of a traceback", answers.TRACE_MAX, 16 * KIB),
    ("security", "no new request after 180 s", api.LOOK_TIME_MAX_S, 180.0),
    ("security", "costs control 20 s at most", pausing.TIME_MAX_S, 20.0),
    ("security", "a reason has at most 600 characters", markdown.REASON_LENGTH_MAX, 600),
    ("security", "a no 2,000", answer.ANSWER_COMMENT_LENGTH_MAX, 2000),
    ("security", "a status is a line of 140", text.LINE_LENGTH_MAX, 140),
    ("install", "until five minutes before their end", logins.RENEWED_BEFORE, 5 * MIN),
    ("install", "a minute where it says nothing", patience.UNNAMED_WAIT_S, 60.0),
    ("measured", "by Git once it asked for 20 folders", trees.REQUESTS_MAX, 20),
)


@cache
def read_page(name: str) -> str:
    return re.sub(r"\s+", " ", (DOCS / f"{name}.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("page", "words", "found", "told"), FIGURES, ids=[words for _, words, _, _ in FIGURES])
def test_a_page_tells_the_figure_of_the_code(page: str, words: str, found: Any, told: Any) -> None:
    assert words in read_page(page)
    assert found == told
