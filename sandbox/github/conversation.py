"""What a pull request's page shows besides its code: comments, deployments and checks, much as GitHub lays them out."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sandbox.github.api.statuses import list_latest
from sandbox.github.markdown import render_markdown
from sandbox.github.shapes.accounts import format_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sandbox.github.pulls import PullRequest
    from sandbox.github.records import Comment, Deployment, Status
    from sandbox.github.repository import Repository

STYLE = """.box{border:1px solid var(--line);border-radius:6px;margin:1rem 0;overflow:hidden}
.box>header{background:var(--shade);border-bottom:1px solid var(--line);padding:.5rem 1rem;font-size:14px;
color:var(--faint)}
.box>header b{color:var(--text)}.box>div{padding:.75rem 1rem;border-top:1px solid var(--line)}
.box>header+div{border-top:0}
.line{display:flex;align-items:center;gap:.6rem;font-size:14px}.line .end{margin-left:auto}
.dot{width:.75rem;height:.75rem;border-radius:50%;flex:none;background:var(--faint)}
.success{background:var(--good)}.failure,.error{background:var(--bad)}
.pending,.in_progress,.queued{background:var(--wait)}
.button{border:1px solid var(--line);border-radius:6px;padding:.2rem .7rem;background:var(--shade);color:var(--text);
font-size:12px;font-weight:500;white-space:nowrap}
.state{display:inline-block;border-radius:2rem;padding:.25rem .8rem;color:var(--on);background:var(--good);
font-size:14px}
.state.merged{background:var(--done)}.state.closed{background:var(--bad)}
.label{border:1px solid var(--line);border-radius:2rem;padding:0 .6rem;font-size:12px}
.markdown{font-size:14px;line-height:1.5;overflow-wrap:anywhere}.markdown>:first-child{margin-top:0}
.markdown>:last-child{margin-bottom:0}.markdown table{border-collapse:collapse;display:block;overflow:auto}
.markdown th,.markdown td{border:1px solid var(--line);padding:6px 13px}
.markdown tr:nth-child(2n){background:var(--shade)}
.markdown code{background:#818b981f;border-radius:6px;padding:.2em .4em;font-size:85%}
.markdown pre{border-radius:6px;padding:1rem}.markdown pre code{background:none;padding:0;font-size:12px}
.markdown ul{padding-left:2em}.markdown sub{color:var(--faint);font-size:12px;vertical-align:baseline}
.mention{font-weight:600;color:var(--text)}"""

_SIGNS = {
    "+1": "👍",
    "-1": "👎",
    "laugh": "😄",
    "confused": "😕",
    "heart": "❤️",
    "hooray": "🎉",
    "eyes": "👀",
    "rocket": "🚀",
}
_DEPLOYED = {
    "success": "deployed to",
    "in_progress": "is deploying to",
    "queued": "will deploy to",
    "pending": "will deploy to",
    "failure": "failed to deploy to",
    "error": "failed to deploy to",
}


def show_comments(repository: Repository, pull: PullRequest) -> str:
    """Show what was said, oldest first; the pull request's own text begins."""
    said = [comment for comment in repository.comments.values() if comment.number == pull.number]
    own = _show_comment(repository, pull.user, "opened this", pull.body, "") if pull.body else ""
    return own + "".join(_show_one(repository, comment) for comment in said)


def _show_one(repository: Repository, comment: Comment) -> str:
    created, updated = format_time(comment.created_at), format_time(comment.updated_at)
    said = f"commented on {created}{'' if updated == created else ' · edited'}"
    anchor, signs = f' id="issuecomment-{comment.id}"', [_SIGNS[each.content] for each in comment.reactions]
    return _show_comment(repository, comment.user, said, comment.body, anchor, signs)


def _show_comment(
    repository: Repository, user: str, said: str, text: str, anchor: str, signs: Collection[str] = ()
) -> str:
    body = render_markdown(text, repository.urls.build_html(), repository.pulls.keys())
    head = f"<header><b>{escape(user)}</b> {said}</header>"
    foot = f'<div class="signs">{" ".join(signs)}</div>' if signs else ""
    return f'<section class="box comment"{anchor}>{head}<div class="markdown">{body}</div>{foot}</section>'


def show_deployments(repository: Repository, shas: Collection[str]) -> str:
    """Show the newest GitHub Deployment of these commits to each environment, with its link."""
    newest = {
        deployment.environment: deployment
        for deployment in repository.deployments.values()
        if deployment.sha in shas and deployment.statuses
    }
    if not newest:
        return ""
    active = sum(each.statuses[-1].state == "success" for each in newest.values())
    said = f"{active} active deployment{'' if active == 1 else 's'}" if active else "No active deployment"
    lines = "".join(_show_deployment(each) for each in newest.values())
    return f'<section class="box deployments"><header><b>{said}</b></header>{lines}</section>'


def _show_deployment(deployment: Deployment) -> str:
    status = deployment.statuses[-1]
    passed = "temporarily deployed to" if deployment.is_transient else "was deployed to"
    did = _DEPLOYED.get(status.state, passed)
    where = f"<b>{escape(deployment.environment)}</b> · <code>{deployment.sha[:7]}</code>"
    buttons = [
        _link_out("Show log", status.log_url),
        _link_out("View deployment", status.environment_url) if status.state == "success" else "",
        '<span class="muted">Inactive</span>' if status.state == "inactive" else "",
    ]
    return _show_line(status.state, f"{escape(deployment.user)} {did} {where}", buttons)


def show_checks(repository: Repository, sha: str) -> str:
    """Show the newest status of each context, under a line that sums them up."""
    latest = list_latest(repository, sha)
    if not latest:
        return ""
    lines = "".join(_show_check(status) for status in latest)
    head = f"<header><b>{_sum_up({status.state for status in latest})}</b></header>"
    return f'<section class="box checks">{head}{lines}</section>'


def _sum_up(states: Collection[str]) -> str:
    if {"failure", "error"} & set(states):
        return "Some checks were not successful"
    return "Some checks have not completed yet" if "pending" in states else "All checks have passed"


def _show_check(status: Status) -> str:
    said = f"<b>{escape(status.context)}</b> — {escape(status.description or '')}"
    return _show_line(status.state, said, [_link_out("Details", status.target_url or "")])


def _show_line(state: str, said: str, buttons: Iterable[str]) -> str:
    return (
        f'<div class="line"><span class="dot {escape(state)}" title="{escape(state)}"></span><span>{said}</span>'
        f'<span class="end">{" ".join(buttons)}</span></div>'
    )


def _link_out(text: str, url: str) -> str:
    is_web = urlsplit(url).scheme in {"http", "https"}
    return f'<a class="button" href="{escape(url)}">{escape(text)}</a>' if is_web else ""
