"""Who may approve a deploy to a target, who may not and why, and whether an answer counts. Pure.

Airflow knows its users by ids and GitHub by logins; the policy's `people` says which are the same person. Airflow takes
an empty list of users for everybody, so a panel of which nobody is left is never asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.deploy_ops.core.policy.keys import Approvers

ASKED = "asked for it"
WROTE = "opened a pull request that comes along"
PUSHED = "wrote a commit that comes along"
_BOT = "[bot]"  # how the login of a GitHub App ends: nobody who answers in Airflow


@dataclass(frozen=True, slots=True)
class Panel:
    """Who may approve one deploy.

    :param users: ids of Airflow users, in the policy's order; None: whoever may answer in Airflow.
    :param excluded: why somebody may not, by id; of who asked, by the name that Airflow tells.
    :param unmapped: logins of GitHub that take part, and of which the policy does not say who they are in Airflow.
    """

    users: tuple[str, ...] | None = None
    excluded: Mapping[str, str] = field(default_factory=dict)
    unmapped: tuple[str, ...] = ()

    @property
    def is_nobody(self) -> bool:
        """Whether nobody is left who could approve, so that asking would be in vain."""
        return self.users is not None and not self.users


def form_panel(
    approvers: Approvers | None,
    people: Mapping[str, str],
    *,
    requester: str,
    authors: Iterable[str],
    pushers: Iterable[str] = (),
) -> Panel:
    """Return who may approve.

    :param approvers: the target's key; None: whoever may answer in Airflow.
    :param people: ids of Airflow users by login of GitHub, whose case means nothing.
    :param requester: who asked, as Airflow tells it; empty where control did.
    :param authors: logins whose pull requests come along.
    :param pushers: logins who wrote what comes along, as far as GitHub tells.
    """
    if approvers is None:
        return Panel()
    excluded: dict[str, str] = {}
    unmapped: dict[str, None] = {}
    if approvers.not_requester:
        ids = {login.casefold(): user for login, user in people.items()}
        excluded |= {requester: ASKED} if requester else {}
        for logins, why in ((authors, WROTE), (pushers, PUSHED)):
            for login in sorted({each for each in logins if each}, key=str.casefold):
                user = ids.get(login.casefold())
                if user is not None:
                    excluded.setdefault(user, why)
                elif not login.endswith(_BOT):
                    unmapped[login] = None
    left = tuple(each for each in approvers.users if not _find_exclusion(excluded, each))
    return Panel(left if approvers.users else None, excluded, tuple(unmapped))


def _find_exclusion(excluded: Mapping[str, str], *names: str) -> str:
    """Return why somebody of that id, or of that name, is excluded; a name is the same in any case."""
    folded = {name.casefold() for name in names if name}
    return next((why for each, why in excluded.items() if each.casefold() in folded), "")


def refuse_answer(panel: Panel, user_id: str, name: str) -> str:
    """Return why an approval by this user of Airflow does not count; empty where it does.

    Asked again when the answer is read: Airflow keeps whom it let answer when the question was put first, and in some
    of its settings it lets everybody.
    """
    who = f"'{name or user_id}'"
    if panel.users is None and not panel.excluded:
        return ""
    if not user_id:
        return "Airflow does not tell who approved, and the policy names who may"
    if why := _find_exclusion(panel.excluded, user_id, name):
        return f"{who} may not approve: {why}"
    if panel.users is not None and user_id not in panel.users:
        return f"{who} (id '{user_id}') is not among the target's approvers"
    return ""


def is_listed(approvers: Approvers | None, user_id: str) -> bool:
    """Whether a user of Airflow is (still) among a target's approvers; where nobody is named, everybody is."""
    return approvers is None or not approvers.users or user_id in approvers.users


def describe_nobody(panel: Panel, target: str) -> str:
    """Return what is told at once where nobody is left, also in public: it names no user of Airflow."""
    whys = " or ".join(dict.fromkeys(panel.excluded.values()))
    return (
        f"nobody may approve a deploy to {target}: each of its approvers {whys}; let somebody else ask, or name more "
        f"users in the policy's targets.{target}.approvers, and clear this run"
    )
