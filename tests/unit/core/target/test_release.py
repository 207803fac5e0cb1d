"""What an approver reads: everything that matters, in a page that no text of others can change or swell."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from include.deploy_ops.core.model import ChangeType, PathVerdict, PullCommit, PullRequest
from include.deploy_ops.core.target.approvers import WROTE, Panel
from include.deploy_ops.core.target.gates import Gate, GateName
from include.deploy_ops.core.target.mergeability import Mergeability
from include.deploy_ops.core.target.release import (
    COMMITS_SHOWN,
    FILES_SHOWN,
    PULLS_SHOWN,
    Release,
    SourceState,
    describe_panel,
    describe_source,
    group_files,
    summarize,
    summarize_subject,
)
from include.deploy_ops.core.text.markdown import quote_text
from include.deploy_ops.core.verification.fallback import VerifiedDeploy

if TYPE_CHECKING:
    from markdown_it.token import Token

HEAD, BASE, MERGE, OLD = "a" * 40, "b" * 40, "c" * 40, "d" * 40
SITE = "https://github.example/acme/shop"
ASKED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
STAGING = SourceState("staging", "Staging", "https://cloud.example/staging", HEAD, "HEALTHY", is_healthy=True)
STAGED = "[`staging`](https://cloud.example/staging)"
PULL = PullRequest(
    number=12,
    head_ref="astro_deploy",
    head_sha=HEAD,
    head_repo_id=7,
    base_ref="main",
    base_repo_id=7,
    is_open=True,
    is_merged=False,
    updated_at="2026-03-01T09:00:00Z",
    title="Weekly release",
    author="ada",
    url=f"{SITE}/pull/12",
)
PATHS = (
    PathVerdict("dags/a.py", ChangeType.DAGS, "inside dags/"),
    PathVerdict("requirements.txt", ChangeType.IMAGE, "outside dags/"),
    PathVerdict("README.md", ChangeType.NONE, "ignored by *.md"),
)
RELEASE = Release(
    target="production",
    deployment="Production",
    ref="refs/heads/astro_deploy",
    head=HEAD,
    base=BASE,
    commit=MERGE,
    change_type=ChangeType.IMAGE,
    reason="requirements.txt is outside dags/",
    running=OLD,
    deadline=datetime(2026, 3, 4, 9, 30, tzinfo=UTC),
    asked_at=ASKED,
    pull=PULL,
    commits=(
        PullCommit("1" * 40, "Add a DAG\n\nWhy", "ada", f"{SITE}/commit/1"),
        PullCommit("2" * 40, "Use pendulum 3", "", ""),
    ),
    files=group_files(PATHS),
    source=STAGING,
    carried=(replace(PULL, number=3, title="Add orders"), replace(PULL, number=5, title="Use pendulum")),
    is_merging=True,
)


def page_of(kind: str, name: str | int, /) -> str:
    return f"{SITE}/{kind}/{name}"


def parse(text: str) -> list[Token]:
    """Parse as the most permissive of Markdown's dialects do: with tables and raw HTML."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    return [each for token in tokens for each in (token, *(token.children or ()))]


def list_cells(text: str) -> list[int]:
    """Count the cells of each row of each table."""
    counts: list[int] = []
    for token in parse(text):
        if token.type == "tr_open":
            counts.append(0)
        elif token.type in {"td_open", "th_open"}:
            counts[-1] += 1
    return counts


def list_links(text: str) -> set[str]:
    return {str(token.attrs["href"]) for token in parse(text) if token.type == "link_open"}


def test_the_page_says_what_is_asked_and_what_it_means() -> None:
    text = summarize(RELEASE, page_of)
    assert (
        f"**Approve** deploys **image-and-dags** to `Production`: **[#12]({SITE}/pull/12)** `Weekly release` by `ada`, "
        "`astro_deploy` into `main`, as their merge, and then merges exactly this head."
    ) in text
    assert "**image-and-dags**: `requirements.txt is outside dags/`" in text
    assert "| ref | branch `astro_deploy` |" in text
    assert f"| commit | [`{MERGE}`]({SITE}/commit/{MERGE}), the merge of head [`{HEAD}`]({SITE}/commit/{HEAD})" in text
    assert f" into base [`{BASE}`]({SITE}/commit/{BASE}) |" in text
    assert f"| runs now | [`{OLD}`]({SITE}/commit/{OLD}) |" in text
    assert "[`staging`](https://cloud.example/staging) shows this head; healthy" in text.splitlines()[0]
    assert "asked | 2026-03-01 09:30 UTC; open until 2026-03-04 09:30 UTC" in text
    assert "Asked again, it is open as long anew, and this page still tells how things were then |" in text
    assert f"still open:**\n\n- [#3]({SITE}/pull/3) `Add orders`\n- [#5]({SITE}/pull/5) `Use pendulum`\n" in text
    assert text.index("Use pendulum 3") < text.index("Add a DAG")
    assert "Why" not in text
    assert summarize_subject(RELEASE) == f"Deploy {MERGE} to production? (pull request #12)"


def test_the_verdict_comes_first_then_the_yes_the_comparison_and_what_comes_along_before_any_table() -> None:
    text = summarize(RELEASE, page_of)
    parts = ["**Look closer**: ", "**Approve** ", f"[Compare with what runs there]({SITE}/compare/{OLD}..{MERGE})"]
    places = [text.index(each) for each in [*parts, "Comes along", "|---|", "commits", "asking for"]]
    assert places == sorted(places)
    assert places[0] == 0


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        (
            {"image": "r.example/x@sha256:0"},
            f"**Ready**: {STAGED} shows this head; healthy; nothing stands in the merge's way",
        ),
        (
            {},
            f"**Look closer**: nobody knows the image's digest yet; {STAGED} shows this head; healthy; nothing stands",
        ),
        (
            {"change_type": ChangeType.DAGS, "source": replace(STAGING, head=OLD), "is_merging": False},
            f"**Look closer**: {STAGED} **shows another head**, `{OLD[:12]}`; healthy",
        ),
        (
            {"change_type": ChangeType.DAGS, "source": None, "mergeability": Mergeability(note="behind main")},
            "**Look closer**: **`behind main`**",
        ),
        (
            {"change_type": ChangeType.DAGS, "source": None, "is_merging": False, "is_override": True},
            "**Look closer**: it comes **in place of what its source holds**",
        ),
        ({"change_type": ChangeType.DAGS, "source": None, "is_merging": False}, "**Approve** deploys **dags** to"),
    ],
)
def test_the_verdict_says_what_to_look_at_before_what_is_well(changes: dict[str, Any], verdict: str) -> None:
    assert summarize(replace(RELEASE, **changes), page_of).startswith(verdict)


@pytest.mark.parametrize("running", [None, MERGE])
def test_without_another_commit_there_is_nothing_to_compare(running: str | None) -> None:
    assert "/compare/" not in summarize(replace(RELEASE, running=running), page_of)


def test_files_stand_by_kind_the_dearest_first() -> None:
    text = summarize(RELEASE, page_of)
    places = [
        text.index(each)
        for each in ("1 file asking for image-and-dags", "1 file asking for dags", "asking for nothing")
    ]
    assert places == sorted(places)
    assert "| `requirements.txt` | `outside dags/` |" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "shows this head; healthy"),
        ({"head": OLD}, f"**shows another head**, `{OLD[:12]}`; healthy"),
        ({"head": None}, "**shows nothing of ours yet**; healthy"),
        ({"status": "UNHEALTHY", "is_healthy": False}, "shows this head; **not healthy** (`UNHEALTHY`)"),
        ({"overridden_by": "a rollback"}, "**is overridden** by `a rollback`; healthy"),
    ],
)
def test_staging_is_told_as_it_is(changes: dict[str, Any], said: str) -> None:
    assert describe_source(replace(STAGING, **changes), HEAD) == said


def test_a_forced_deploy_says_who_wants_what_and_why() -> None:
    release = replace(
        RELEASE, pull=None, base="", commits=(), carried=(), person="mira", person_reason="fire", is_override=True
    )
    text = summarize(release, page_of)
    assert (
        f"**Approve** deploys **image-and-dags** to `Production`: [`{MERGE[:12]}`]({SITE}/commit/{MERGE}) of branch "
        "`astro_deploy`. `mira` asks for it: `fire`"
    ) in text
    assert text.startswith("**Look closer**: ")
    assert "it comes **in place of what its source holds**" in text.splitlines()[0]
    assert "the merge of" not in text
    assert summarize_subject(release) == f"Deploy {MERGE} to production? (forced, by branch)"


@pytest.mark.parametrize(
    ("ref", "kind", "shown"),
    [
        ("refs/tags/v1.2.3", "tag", "tag `v1.2.3`"),
        ("refs/heads/v1.2.3", "branch", "branch `v1.2.3`"),
        ("refs/heads/refs/tags/v1", "branch", "branch `refs/tags/v1`"),
        (MERGE, "commit", f"commit `{MERGE}`"),
    ],
)
def test_what_was_asked_for_is_shown_with_its_kind(ref: str, kind: str, shown: str) -> None:
    release = replace(RELEASE, pull=None, base="", commits=(), carried=(), ref=ref)
    text = summarize(release, page_of)
    assert f"| ref | {shown} |" in text
    assert f"| commit | [`{MERGE}`]({SITE}/commit/{MERGE}) |" in text
    assert summarize_subject(release) == f"Deploy {MERGE} to production? (forced, by {kind})"


def test_a_ref_that_an_older_release_wrote_without_its_kind_is_shown_as_it_is() -> None:
    release = replace(RELEASE, pull=None, base="", ref="v1")
    assert "| ref | `v1` |" in summarize(release, page_of)
    assert summarize_subject(release).endswith("(forced)")


def test_the_page_lists_how_each_gate_stands() -> None:
    gates = (Gate("checks", met="green: 'ci/test'"), Gate("soak", "soaks on staging until Mon 14:05 CET"))
    rows = ["| checks | met | `green: 'ci/test'` |", "| soak | **not met** | `soaks on staging until Mon 14:05 CET` |"]
    text = summarize(replace(RELEASE, gates=gates), page_of)
    assert "| gate |  | as this was asked |\n|---|---|---|\n" + "\n".join(rows) in text
    forced = summarize(replace(RELEASE, gates=gates, skips=("soak",)), page_of)
    assert rows[1].replace("**not met**", "skipped") in forced
    assert "as this was asked" not in summarize(RELEASE, page_of)


def test_the_page_tells_where_the_target_differs_in_astro() -> None:
    text = summarize(replace(RELEASE, drift=("scheduler_size LARGE in Astro, SMALL here", "a|b `x` differs")), page_of)
    assert "**Drift**, which the deploy leaves as it is: `scheduler_size LARGE in Astro, SMALL here`; " in text
    assert "Drift" not in summarize(RELEASE, page_of)


def test_who_may_approve_who_may_not_and_who_is_not_known_stand_on_the_page() -> None:
    text = summarize(replace(RELEASE, panel=Panel(("ann",), {"mira": "asked", "7": WROTE}, ("stranger",))), page_of)
    assert "| may approve | `ann` |" in text
    assert f"| may not | `mira`, who asked; `7`, who {WROTE} |" in text
    assert "an answer of theirs would count:** `stranger` |" in text
    assert "may approve" not in summarize(RELEASE, page_of)
    assert describe_panel(Panel(())) == {"may approve": "nobody"}


def test_long_lists_are_cut_and_counted() -> None:
    commits = tuple(PullCommit(f"{number:040x}", f"Change {number}", "ada", "") for number in range(100))
    paths = tuple(PathVerdict(f"dags/{number}.py", ChangeType.DAGS, "inside dags/") for number in range(100))
    text = summarize(
        replace(
            RELEASE,
            commits=commits,
            files=group_files(paths),
            carried=tuple(replace(PULL, number=each) for each in range(1, 101)),
        ),
        page_of,
    )
    assert "**100 commits**" in text
    assert "`Change 99`" in text
    assert "`Change 0`" not in text
    for shown in (COMMITS_SHOWN, FILES_SHOWN, PULLS_SHOWN):
        assert f"… and {100 - shown} more" in text


ATTACKS = (
    "</td><script>alert(1)</script>",
    "a|b\\|c",
    "`x` ``y``",
    "[click](javascript:alert(1))",
    "![](https://evil.example/x.png)",
    "www.evil.example https://evil.example",
    "line\n\n# heading\r\n| new | row |",
    "\u202egnp.exe",
    "\\",
    "",
    "x" * 5000,
    "**bold** ~~gone~~ &lt; {{ conn.x.password }}",
)
TEXTS = st.sampled_from(ATTACKS) | st.text(max_size=300) | st.text("|\\`<>[]()!#*_\n -", max_size=60)


@settings(max_examples=40)
@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_no_text_of_others_changes_the_page(title: str, author: str, subject: str, path: str) -> None:
    told = replace(RELEASE, panel=Panel(("ann",), {"bob": WROTE}, ("x",)), gates=(Gate("checks", "x"),))
    plain = summarize(told, page_of)
    release = replace(
        RELEASE,
        pull=replace(PULL, title=title, author=author or "x", head_ref=title, base_ref=author),
        commits=tuple(replace(each, message=subject, author=author) for each in RELEASE.commits),
        files=group_files(replace(each, path=path, rule=title) for each in PATHS),
        source=replace(STAGING, deployment=title, url=f"https://cloud.example/{path}", target=author),
        deployment=author,
        carried=tuple(replace(each, title=subject) for each in RELEASE.carried),
        reason=subject,
        panel=Panel((title,), {author: WROTE}, (subject,)),
        gates=(Gate("checks", subject or "x"),),
    )
    text = summarize(release, page_of)
    types = [
        token.type for token in parse(text) if token.type not in {"text", "code_inline", "link_open", "link_close"}
    ]
    assert types == [
        token.type for token in parse(plain) if token.type not in {"text", "code_inline", "link_open", "link_close"}
    ]
    assert list_cells(text) == list_cells(plain)
    assert {each for each in list_links(text) if not each.startswith("https://cloud.example/")} == {
        each for each in list_links(plain) if not each.startswith("https://cloud.example/")
    }
    assert "<script" not in re.sub(r"`[^`\n]*`", "", text)


BODY_LENGTH_MAX = 40_000
"""Characters of the page that are never exceeded, whatever others write."""


@pytest.mark.parametrize("letter", ["W", "|", "`", "\U0001f680"])
def test_the_page_has_a_bound(letter: str) -> None:
    count, long = 300, letter * 5000
    release = replace(
        RELEASE,
        pull=replace(PULL, title=long, author=long, head_ref=long, base_ref=long),
        commits=(PullCommit(HEAD, long, long, long),) * count,
        files=group_files(PathVerdict(long, kind, long) for kind in ChangeType for _ in range(count)),
        carried=(replace(PULL, title=long),) * count,
        source=replace(STAGING, deployment=long, url=long, target=long, overridden_by=long, is_healthy=False),
        reason=long,
        panel=Panel((long,) * count, {f"{long}{number}": WROTE for number in range(count)}, (long,) * count),
        gates=tuple(Gate(name, long) for name in get_args(GateName)),
    )
    assert len(summarize(release, page_of)) <= BODY_LENGTH_MAX
    assert len(summarize(replace(release, pull=None, person=long, person_reason=long), page_of)) <= BODY_LENGTH_MAX


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("a`b|c\nd", "`a'b¦c d`"), ("", "-"), ("  ", "-"), ("x" * 200, f"`{'x' * 119}…`"), ("a\u202eb", "`a<U+202E>b`")],
)
def test_texts_are_quoted_on_one_line(text: str, quoted: str) -> None:
    assert quote_text(text) == quoted


RULE = "If its verification fails, the newest verified deploy of its runtime is deployed again, once: now "


def test_it_names_what_is_deployed_again_where_this_does_not_work() -> None:
    assert RULE not in summarize(RELEASE, page_of)
    former = VerifiedDeploy("d0", OLD, "13.1", datetime(2026, 2, 20, 8, tzinfo=UTC))
    named = summarize(replace(RELEASE, rolls_back=True, fallback=former, runtime="13.1"), page_of)
    assert f"{RULE}[`dddddddddddd`]({SITE}/commit/{OLD}), verified 2026-02-20 08:00 UTC." in named
    nothing = summarize(replace(RELEASE, rolls_back=True, runtime="13.2"), page_of)
    assert f"{RULE}**nothing**, since no deploy of runtime `13.2` is verified." in nothing
