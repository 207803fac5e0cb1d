"""The policy's keys, their types and defaults. Reading the file and the rules between keys stand elsewhere."""

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, Strict

from include.deploy_ops.core.environment.mapping import PARTS, Mapped, map_environment
from include.deploy_ops.core.environment.pools import Pool
from include.deploy_ops.core.environment.sources import Source
from include.deploy_ops.core.model import PullRequest
from include.deploy_ops.core.policy import values
from include.deploy_ops.core.policy.windows import Windows, parse_denied, parse_hours
from include.deploy_ops.core.text.schema import StrictModel

MERGE_QUEUE_PREFIX = "gh-readonly-queue/"
"""What GitHub's merge queue begins its branches with: `gh-readonly-queue/<base>/pr-<number>-<commit>`."""

OWN_PREFIX = "deploy-ops/"
"""What branches of our own begin with: nobody develops there."""


class PoolRule(StrictModel):
    """A pool of each preview's Airflow."""

    slots: values.Count
    description: values.PoolDescription | None = None


class Environment(StrictModel):
    """What every preview finds in its environment beside the template, and whoever pushes a branch can read there.

    `connections`, `variables`: of the preview's Airflow, by their ids there. `environment_variables`: others, by name.
    Each value is a text with placeholders, or comes from the management Airflow. `pools`: of the preview's Airflow, by
    name; the verify step lays them.
    """

    connections: dict[values.AirflowId, values.MappedConnection] = Field(default_factory=dict)
    variables: dict[values.AirflowId, values.MappedValue] = Field(default_factory=dict)
    environment_variables: dict[values.EnvironmentName, values.MappedValue] = Field(default_factory=dict)
    pools: Annotated[dict[values.PoolName, PoolRule], Field(max_length=50)] = Field(default_factory=dict)

    @property
    def entries(self) -> tuple[tuple[str, str, Source], ...]:
        """Each entry: the part below which it stands, its name there, and where its value comes from."""
        return tuple((part, name, source) for part in PARTS for name, source in getattr(self, part).items())

    @property
    def wanted_pools(self) -> tuple[Pool, ...]:
        """The pools of each preview's Airflow."""
        return tuple(Pool(name, rule.slots, rule.description or "") for name, rule in self.pools.items())

    @property
    def mapped(self) -> tuple[Mapped, ...]:
        """The environment variables that it gives."""
        return map_environment(self.entries)


class SmokeRule(StrictModel):
    """DAGs that are run to see whether they work: `dag` is a pattern for their ids, `conf` what each run is given."""

    dag: values.Text
    conf: values.RunConf = Field(default_factory=dict)


class Verify(StrictModel):
    """Whether what was deployed works, as the Deployment's own Airflow tells.

    `airflow_conn_id`: the Airflow connection whose token reads there; None: a token is minted for each look, where ours
    may. `import_errors`: whether one fails the verification. `dags`: what is run once per deploy, where no import error
    fails it. `timeout`: until the files must be parsed, and anew until the runs must have ended. `unknown`: what
    the commit status says where the verification could not tell. `compare_with`: the target whose import errors fail
    nothing, and whose DAGs are compared. `show_logs`: whether errors are quoted where the repository is public.
    `on_failure`: of a target, whether its newest verified deploy of the same runtime is deployed again where one fails.
    """

    airflow_conn_id: values.Text | None = None
    import_errors: Literal["fail", "report"] = "fail"
    dags: Annotated[tuple[SmokeRule, ...], Strict(strict=False), Field(max_length=10)] = ()
    timeout: values.Duration = timedelta(minutes=20)
    unknown: Literal["pending", "success"] = "pending"
    compare_with: values.Name | None = None
    show_logs: bool = False
    on_failure: Literal["report", "rollback"] = "report"

    @property
    def rolls_back(self) -> bool:
        """Whether a target goes back to what was verified where a deploy is shown not to work."""
        return self.on_failure == "rollback"


class PreviewRequires(StrictModel):
    """What the deploy of a branch to its preview waits for.

    `checks`: as in `Requires`; "required" means those that the rules of trunk require.
    """

    checks: values.Checks


class Previews(StrictModel):
    """Which branches get a Deployment of their own, and what it looks like.

    `branches`, `exclude`: patterns for whole branch names; `*` also matches `/`; case matters; `exclude` wins.
    `template`: a Deployment file on trunk, by its path from the repository's top.
    `merged_into`: the branches into which a merge ends a preview.
    `template_from`: the Deployment from which changes are proposed for it, by its name in Astro or as a target; None:
    nothing is. `copy_variables`: keys of that one's plain variables whose values may be proposed, too.
    `overrides`: what replaces parts of the template, below its `deployment` key; mappings merge, lists replace.
    `environment`: what is laid into each preview's environment. `inherit`: keys of the template that may lead previews
    to secrets beside that; a template that has others makes no preview.
    `build`: whether a branch's Dockerfile may run on the worker's container engine, which whoever pushes then owns.
    `max_live`: how many previews may exist. `hibernate_after`, `delete_after`: how long without activity; None: never.
    `delete_notice`: how long before that it is told. `keep_label`: pull requests with it keep their preview.
    `require_label`: only branches of open pull requests with it get one; None: each that matches.
    `when`: "changed": a branch gets none while its files are, for this project, those from which it parted from trunk;
    None: "changed" where projects share the repository.
    `cleanup_cron`: when cleanup runs, in UTC. `activity`: what counts as use: pushes, deploys and wakes ("deploys") do
    always, "runs" that people start in the preview's own Airflow where they are named. `verify`: how a deploy is proven
    to work; None: it is not. `requires`: what a deploy waits for, the first one included; None: for nothing.
    `drift`: what becomes of a preview's Deployment that was changed in Astro: "repair": it is updated to what was
    rendered, once for each difference, since Astro may keep a value of its own.
    """

    branches: Annotated[values.Patterns, Field(min_length=1)]
    exclude: values.Patterns = ()
    template: values.File
    template_from: values.DeploymentName | None = None
    copy_variables: values.CopiedKeys = ()
    merged_into: Annotated[values.BranchNames, Field(min_length=1)]
    overrides: dict[str, Any] = Field(default_factory=dict)
    environment: Environment = Environment()
    inherit: values.InheritedKeys = ()
    build: bool = False
    max_live: values.Count = 20
    hibernate_after: values.Duration | None = None
    delete_after: values.Duration | None = None
    delete_notice: values.Duration = timedelta(days=1)
    keep_label: values.Text = "keep-preview"
    require_label: values.Text | None = None
    when: Literal["changed", "always"] | None = None
    cleanup_cron: values.Cron = "0 5 * * *"
    activity: Annotated[tuple[Literal["deploys", "runs"], ...], Strict(strict=False), Field(min_length=1)] = (
        "deploys",
    )
    verify: Verify | None = None
    requires: PreviewRequires | None = None
    drift: Literal["report", "repair"] = "report"

    @property
    def counts_runs(self) -> bool:
        """Whether a preview is used where a person started a run."""
        return "runs" in self.activity

    @property
    def airflow_conn_id(self) -> str | None:
        """The Airflow connection with whose token previews' Airflows are asked; None: a token is minted for each."""
        return self.verify.airflow_conn_id if self.verify is not None else None

    def is_match(self, branch: str) -> bool:
        """Whether the patterns want a preview of the branch.

        A merge group, which lives for minutes, never gets one, and neither does a branch of our own.
        """
        if branch.startswith((MERGE_QUEUE_PREFIX, OWN_PREFIX)):
            return False
        return is_matched(branch, self.branches) and not is_matched(branch, self.exclude)


class Promotion(StrictModel):
    """How open pull requests feed the deploy branch.

    `sources` (`from` in the file): patterns for the head branches. `into`: the base branch. `copy_mode` (`copy` in the
    file): what of a pull request's `dags/` is laid over it. `drafts`: whether drafts take part, too.
    """

    sources: Annotated[values.Patterns, Field(alias="from", min_length=1)]
    into: values.BranchName
    deploy_branch: values.BranchName
    copy_mode: Annotated[Literal["changes", "all"], Field(alias="copy")] = "changes"
    drafts: bool = False


class PullRequestSource(StrictModel):
    """The pull request whose merge a target runs; `source` and `into` are `from` and `into` in the file.

    `drafts`: whether a draft is deployed, too. GitHub merges none.
    """

    source: Annotated[values.BranchName, Field(alias="from")]
    into: values.BranchName
    drafts: bool = False


class Approvers(StrictModel):
    """Who may approve a deploy, beside what Airflow itself demands.

    `users`: ids of Airflow users; none: whoever may answer in Airflow. `not_requester`: neither who asked for the
    deploy nor who has a pull request or commit in it.
    """

    users: Annotated[values.Texts, Field(min_length=1)] = ()
    not_requester: bool = False


class WindowRules(StrictModel):
    """The hours in which a deploy may begin, by a wall clock in `timezone`.

    `allow`: weekdays and hours; none: at all times. `deny`: days, or weekdays and hours, in which none does after all.
    """

    allow: values.AllowedHours = ()
    deny: values.DeniedTimes = ()
    timezone: values.Zone

    @property
    def windows(self) -> Windows:
        """What the texts mean."""
        allow, deny = map(parse_hours, self.allow), map(parse_denied, self.deny)
        return Windows(tuple(allow), tuple(deny), ZoneInfo(self.timezone))


class Requires(StrictModel):
    """What a deploy waits for, beside a person's yes.

    `checks`: what has to be green on the head: patterns for the names of commit statuses and check runs, or "required",
    those that the rules of the base branch require. `verified`: the target that has to run the same content, verified.
    `soak`: for at least so long. `windows`: the hours in which it may begin.
    """

    checks: values.Checks | None = None
    verified: values.Name | None = None
    soak: values.Duration | None = None
    windows: WindowRules | None = None


class Target(StrictModel):
    """A long-lived Deployment, named as in Astro, that follows a branch or a pull request.

    `on`: deploy what the open pull request would give, or `into` after the merge. `approval_timeout`: how long a
    request waits; without an answer it is rejected. `approvers`: who may; None: whoever may answer in Airflow.
    `forced`: whether a forced run of a gated target asks too; "gates": it asks, and waits for what the target requires.
    `merge`: merge the pull request once its code runs. `build`: build images for a gated target too, whose digest
    nobody can approve. `verify`: how a deploy is proven to work, which the merge then waits for. `requires`: what it
    waits for before anybody is asked, and again before it is deployed and merged. `template`: a Deployment file on
    trunk that says how it should be configured, which is told where it differs; nothing is ever updated to it.
    """

    deployment: values.DeploymentName
    branch: values.BranchName | None = None
    pull_request: PullRequestSource | None = None
    on: Literal["pull_request", "push"] = "pull_request"
    deploy_type: Literal["infer", "dags", "image-and-dags"] = "infer"
    approval: Literal["required", "none"] = "none"
    approval_timeout: values.Duration = timedelta(days=3)
    approvers: Approvers | None = None
    forced: Literal["ask", "skip", "gates"] = "ask"
    merge: bool = False
    build: bool = False
    verify: Verify | None = None
    requires: Requires | None = None
    template: values.File | None = None

    @property
    def asks_when_forced(self) -> bool:
        """Whether a person's deploy needs approval, too."""
        return self.approval == "required" and self.forced != "skip"

    @property
    def followed_branch(self) -> str | None:
        """The branch whose tip is deployed; None where it is what an open pull request would give."""
        if self.pull_request is not None:
            return self.pull_request.into if self.on == "push" else None
        return self.branch

    @property
    def branches(self) -> frozenset[str]:
        """The branches that it names."""
        pull = self.pull_request
        return frozenset(name for name in (self.branch, pull and pull.source, pull and pull.into) if name)


class Limits(StrictModel):
    """What a pass may do at once, and how much an hour may delete; the fraction counts from 4 live up.

    `max_actions_per_pass`: each costs a pass the start of a task, and nothing else is planned before they are over.
    """

    max_actions_per_pass: values.Count = 10
    max_updates_per_pass: values.Count = 5
    max_deletes: values.Count = 5
    max_delete_fraction: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.25


class Feedback(StrictModel):
    """What GitHub is told of each environment: one comment per pull request, commit statuses, GitHub Deployments.

    `commands`: words of people on a pull request do for its preview what the form does.
    """

    comments: bool = True
    statuses: bool = True
    deployments: bool = True
    commands: bool = False

    @property
    def is_on(self) -> bool:
        """Whether anything is told."""
        return self.comments or self.statuses or self.deployments


class Checkout(StrictModel):
    """What may stand for a file of the commit that is deployed; by default nothing, and such a commit is refused.

    `submodules`: repositories that may be fetched where a submodule of them is deployed. `lfs`: fetch the files of
    Git LFS. `filters`: names of Git filters whose files are deployed as they are committed.
    """

    submodules: values.Repositories = ()
    lfs: bool = False
    filters: values.Texts = ()


class Notice(StrictModel):
    """Who is told by Airflow, and on what: failures, questions, deploys that are not verified or that skipped gates.

    Which arguments are templates is the notifier's affair. No secrets: those belong into an Airflow connection, whose
    id is an argument.
    """

    notifier: values.ClassPath
    arguments: dict[values.Argument, Any] = Field(default_factory=dict)
    on: Annotated[
        tuple[Literal["failure", "approval", "verification", "gates"], ...], Strict(strict=False), Field(min_length=1)
    ] = ("failure", "approval", "verification", "gates")


class Prices(StrictModel):
    """What an hour of a Deployment is taken to cost, for estimates; `currency` stands behind each amount.

    `small` … `extra_large`: awake, by the size of its scheduler. `hibernating`: asleep, whatever its size. `workers`:
    of a worker, by kind of machine, of as many as its queues always have.
    """

    currency: values.Text | None = None
    small: values.Price | None = None
    medium: values.Price | None = None
    large: values.Price | None = None
    extra_large: values.Price | None = None
    hibernating: values.Price = 0.0
    workers: dict[values.Machine, values.Price] = Field(default_factory=dict)

    def find_size(self, size: str) -> float | None:
        """Return the price of a scheduler size as Astro names it; None where there is none."""
        prices = {"SMALL": self.small, "MEDIUM": self.medium, "LARGE": self.large, "EXTRA_LARGE": self.extra_large}
        return prices.get(size)

    def find_worker(self, machine: str) -> float:
        """Return the price of a worker of that kind, nothing where there is none."""
        return next((price for name, price in self.workers.items() if name == machine), 0.0)


class Project(StrictModel):
    """One Astro project in one repository. The `*_conn_id` are Airflow connections; times are in seconds.

    `registry_conn_id`: how images named in `image` are pulled; None: anonymously. `login_hosts`:
    further hosts that may be told a registry's login, by the registry's host. `trunk`: template and settings are
    read from here. `ignore`: gitignore rules relative to `root`, never inside dags/. `also_watch`: paths outside `root`
    whose change means an image deploy. `checkout`: what may stand for a file of the commit. `image`: where an image
    comes from, the first that can serve. `people`: ids of Airflow users by login of GitHub. `prices`: of previews, for
    estimates of their cost; None: none is made. `snapshots`: how many passes are kept to be decided again.
    """

    name: values.Name
    repository: values.Repository
    github_conn_id: values.Text = "github_default"
    astro_conn_id: values.Text = "astro_default"
    registry_conn_id: values.Text | None = None
    login_hosts: dict[values.Host, values.Hosts] = Field(default_factory=dict)
    root: values.Folder = "."
    trunk: values.BranchName = "main"
    poll_interval_s: values.Seconds = 10
    ignore: values.IgnorePatterns = ()
    also_watch: values.Folders = ()
    checkout: Checkout = Checkout()
    image: values.ImageSources
    image_timeout_s: values.Seconds = 1800
    settle_timeout_s: values.Seconds = 1800
    cli_timeout_s: values.Seconds = 1800
    previews: Previews | None = None
    promotion: Promotion | None = None
    targets: dict[values.Name, Target] = Field(default_factory=dict)
    people: dict[values.Login, values.Text] = Field(default_factory=dict)
    limits: Limits = Limits()
    prices: Prices | None = None
    feedback: Feedback = Feedback()
    notify: Annotated[tuple[Notice, ...], Strict(strict=False)] = ()
    snapshots: Annotated[int, Field(ge=0, le=50)] = 0

    @property
    def is_planned(self) -> bool:
        """Whether there is anything for control to keep equal to Git."""
        return self.previews is not None or self.promotion is not None or bool(self.targets)

    @property
    def awaited_checks(self) -> tuple[str, ...]:
        """Patterns for the names of the checks that anything waits for, sorted."""
        rules = [self.previews and self.previews.requires, *(target.requires for target in self.targets.values())]
        wanted = {each.checks for each in rules if each and each.checks}
        if values.REQUIRED in wanted:
            return ("*",)  # which these are is the repository's affair
        return tuple(sorted({pattern for patterns in wanted for pattern in patterns}))

    def find_verify(self, target: str) -> Verify | None:
        """Return how deploys to the target, or to previews where it is empty, are proven to work; None: not at all."""
        if target:
            return self.targets[target].verify if target in self.targets else None
        return self.previews.verify if self.previews is not None else None

    @property
    def template_source(self) -> str:
        """The name in Astro of the Deployment from which template changes are proposed; empty where none is named."""
        name = self.previews.template_from or "" if self.previews is not None else ""
        return self.targets[name].deployment if name in self.targets else name

    def wants_preview(self, branch: str) -> bool:
        """Whether the branch gets a Deployment of its own while it lives."""
        return self.previews is not None and self.previews.is_match(branch)

    def can_end_preview(self, pull: PullRequest) -> bool:
        """Whether a merge of the pull request would end a preview, and its being open keeps one alive."""
        return (
            self.previews is not None
            and pull.base_ref in self.previews.merged_into
            and self.previews.is_match(pull.head_ref)
        )

    @property
    def awaited_bases(self) -> frozenset[str]:
        """The branches whose open pull requests may wait for the word on a preview: of `merged_into`, of a target."""
        if self.previews is None:
            return frozenset()
        return frozenset(self.previews.merged_into).union(*(target.branches for target in self.targets.values()))

    @property
    def bases(self) -> frozenset[str]:
        """The branches into which a merge brings its change to a target, or on its way there."""
        into = {self.promotion.into} if self.promotion is not None else set()
        return frozenset(into).union(*(target.branches for target in self.targets.values()))

    def feeds(self, pull: PullRequest) -> bool:
        """Whether the pull request, while it is open, feeds the deploy branch or is a target's release."""
        releases = [target.pull_request for target in self.targets.values() if target.pull_request is not None]
        if any((pull.head_ref, pull.base_ref) == (release.source, release.into) for release in releases):
            return True
        promotion = self.promotion
        return (
            promotion is not None and pull.base_ref == promotion.into and is_matched(pull.head_ref, promotion.sources)
        )

    @property
    def named_branches(self) -> frozenset[str]:
        """The branches that have a part of their own in the project, and so never get a preview."""
        named = {self.trunk}
        named.update(*(target.branches for target in self.targets.values()))
        if self.previews is not None:
            named.update(self.previews.merged_into)
        if self.promotion is not None:
            named.update({self.promotion.into, self.promotion.deploy_branch})
        return frozenset(named)


class Sources(StrictModel):
    """What of the management Airflow previews may be given at all, by patterns for ids; none by default."""

    connections: values.Texts = ()
    variables: values.Texts = ()


class Team(StrictModel):
    """What the projects of one file beside the main one may use, by patterns; what `defaults` give them, they may.

    `repositories`: as owner/name. `connections`: ids of Airflow connections; none of them is ever mapped into a
    preview. `workspaces`: ids of the Astro workspaces that those may lead to; none: any. `notifiers`: class paths.
    `sources`: what they may map into previews, of what the main file's `sources` has.
    """

    repositories: values.Texts = ()
    connections: values.Texts = ()
    workspaces: values.Texts = ()
    notifiers: values.Texts = ()
    sources: Sources = Sources()


class Policy(StrictModel):
    """The main file, and the projects of all files. `mode` plan: no run writes to Astro, Git, GitHub or a registry.

    `sources`: what `previews.environment` of any project may name. `defaults`: keys of a project that each inherits.
    `teams`: what the projects of each file in the folder beside it may use, by the file's name without `.yaml`.
    """

    control_plane: values.ControlPlane
    mode: Literal["apply", "plan"] = "apply"
    sources: Sources = Sources()
    defaults: dict[str, Any] = Field(default_factory=dict)
    teams: dict[values.Text, Team] = Field(default_factory=dict)
    projects: tuple[Project, ...]


def is_matched(branch: str, patterns: tuple[str, ...]) -> bool:
    """Whether any of the patterns matches the whole name."""
    return any(fnmatchcase(branch, pattern) for pattern in patterns)
