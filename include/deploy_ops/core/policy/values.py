"""The scalar values that a policy is made of: names, branches, patterns, paths, image sources, durations.

Each check takes the value as written and returns it in its one form, or raises ValueError with what is expected. What
values must be to one another is for `rules.py`.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadDateError, croniter
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, Strict

from include.deploy_ops.core.environment.mapping import check_airflow_id, check_environment_name, check_inherited
from include.deploy_ops.core.environment.pools import DESCRIPTION_LENGTH_MAX, check_pool_name
from include.deploy_ops.core.environment.sources import (
    ConnectionSource,
    Source,
    parse_connection,
    parse_source,
    write_source,
)
from include.deploy_ops.core.model import NO_COMMIT, RULE_LENGTH_MAX
from include.deploy_ops.core.naming import OWN_CHECKS
from include.deploy_ops.core.policy.windows import parse_denied, parse_hours
from include.deploy_ops.core.template.secrecy import check_copied

NAME_LENGTH_MAX = 40
REPOSITORY_LENGTH_MAX = 140
"""GitHub's most: an owner of 39 characters, a name of 100. A repository stands in every mark."""

CONF_LENGTH_MAX = 4096
CRON_FIELDS = 5
BUILD = "build"
REUSE = "reuse"
COMMIT_FIELD = "{sha}"
REQUIRED: Literal["required"] = "required"

_CONTROL_PLANE = re.compile(r"[a-z0-9][a-z0-9._-]*")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_FORBIDDEN_IN_BRANCH = re.compile(r"[\x00-\x20\x7f~^:\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # line ends among them; no name has one, and C ends at NUL
_WILDCARD = re.compile(r"[*?\[\]]")
_IMAGE = re.compile(
    r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:))(?::[0-9]+)?"  # a registry, not just a word
    r"(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)+"
    r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::[1-9][0-9]{0,4})?")
_DOTTED_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}(?:\[bot\])?")
_ARGUMENT = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_RANDOM_IN_CRON = re.compile(r"\b[rRhH]\b|[rRhH]\(")
_DURATION = re.compile(r"([1-9][0-9]{0,4})([smhd])")
_DURATION_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def check_control_plane(text: str) -> str:
    """Return the control plane's name, which stands in every mark."""
    if not _CONTROL_PLANE.fullmatch(text) or len(text) > NAME_LENGTH_MAX:
        raise ValueError(f"a name of a-z, 0-9, '.', '_' and '-', at most {NAME_LENGTH_MAX} long, such as acme-prod")
    return text


def check_name(text: str) -> str:
    """Return the name of a project or target, which stands in DAG ids and Deployment names."""
    if not _NAME.fullmatch(text) or len(text) > NAME_LENGTH_MAX:
        raise ValueError(f"a name of a-z, 0-9 and '_' that begins with a letter, at most {NAME_LENGTH_MAX} long")
    return text


def check_text(text: str) -> str:
    """Return a text that is not blank and has no blanks around it."""
    if not text or text != text.strip() or _CONTROL.search(text):
        raise ValueError("a text of one line that is not empty, without blanks around it")
    return text


def check_repository(text: str) -> str:
    """Return GitHub's name of a repository, as owner/name."""
    is_named = _REPOSITORY.fullmatch(text) and not text.endswith((".git", "/.", "/.."))
    if not is_named or len(text) > REPOSITORY_LENGTH_MAX:
        raise ValueError("a repository as owner/name, such as acme/data-platform")
    return text


def check_branch(text: str) -> str:
    """Return a branch's name without refs/heads/; legal by `git check-ref-format --branch`."""
    if text.startswith("refs/"):
        raise ValueError(f"a branch without refs/heads/, such as {text.removeprefix('refs/heads/') or 'main'}")
    if not is_branch(text):
        raise ValueError("the whole name of a branch that Git allows, without wildcards")
    return text


def is_branch(text: str) -> bool:
    """Whether Git allows a branch of that name (git-check-ref-format(1))."""
    return not (
        text in {"", "@", "HEAD"}
        or text.startswith(("-", "/", "."))
        or text.endswith(("/", "."))
        or _FORBIDDEN_IN_BRANCH.search(text)
        or _WILDCARD.search(text)
    )


def check_pattern(text: str) -> str:
    """Return a pattern for the whole name of a branch: `*` stands for anything, also with slashes; case matters.

    `?` stands for one character, `[ab]` for one of those. What Git forbids in a branch would never match.
    """
    if not text or text.startswith("refs/") or _FORBIDDEN_IN_BRANCH.search(text):
        raise ValueError("a pattern for whole branch names without refs/heads/, such as dev*; * also matches /")
    return text


def check_folder(text: str) -> str:
    """Return a folder or file of the repository in its normal form; "." is the repository itself."""
    path = PurePosixPath(text)
    is_inside = not path.is_absolute() and ".." not in path.parts
    if not text or not is_inside or "\\" in text or text != text.strip() or _CONTROL.search(text):
        raise ValueError("a path inside the repository, from its top, with / and without .., such as services/etl")
    return str(path)


def check_file(text: str) -> str:
    """Return a file's path inside the repository in its normal form."""
    if text.endswith("/") or (path := check_folder(text)) == ".":
        raise ValueError("a file's path inside the repository, from its top, such as deployments/preview.yaml")
    return path


def check_ignore_pattern(text: str) -> str:
    """Return one gitignore rule (gitignore(5)) relative to the project's root, which does not speak of dags/."""
    rule = text.removeprefix("!").lstrip("/").removeprefix("**/")
    if not rule.strip() or text.startswith("#") or _CONTROL.search(text):
        raise ValueError("one gitignore rule, such as docs/ or *.md")
    if len(text.encode()) > RULE_LENGTH_MAX:
        raise ValueError(f"a rule of at most {RULE_LENGTH_MAX} bytes")
    if rule.split("/")[0].rstrip() == "dags":
        raise ValueError("a rule for files outside dags/: every change inside dags/ is deployed. Remove it")
    return text


def check_image_source(text: str) -> str:
    """Return where an image comes from: `reuse`, `build`, or a full image name with {sha} in its tag."""
    if text in {BUILD, REUSE}:
        return text
    if text.count(COMMIT_FIELD) != 1 or not _IMAGE.fullmatch(text.replace(COMMIT_FIELD, NO_COMMIT)):
        raise ValueError("reuse, build, or an image with its registry and {sha} in the tag: ghcr.io/acme/etl:{sha}")
    if COMMIT_FIELD not in text.rpartition(":")[2]:
        raise ValueError("{sha} in the tag, behind the last colon: ghcr.io/acme/etl:{sha}")
    return text


def check_host(text: str) -> str:
    """Return a host with its port, if it has one, in lower case."""
    host = text.lower()
    if not _HOST.fullmatch(host):
        raise ValueError(
            "a host, with its port where that is not HTTPS's, such as auth.acme.com or gitlab.acme.com:8443"
        )
    return host


def parse_duration(value: object) -> timedelta:
    """Return the duration that a number and a unit say: 90s, 30m, 36h, 2d."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration: a whole number and its unit s, m, h or d, such as 36h or 2d")
    return timedelta(**{_DURATION_UNITS[match[2]]: int(match[1])})


def check_cron(text: str) -> str:
    """Return a schedule as cron's five fields, which comes round at times that are the same whenever one asks."""
    is_plain = len(text.split()) == CRON_FIELDS and not _RANDOM_IN_CRON.search(text) and croniter.is_valid(text)
    if not is_plain:
        raise ValueError("five fields of cron (minute hour day month weekday), such as '0 5 * * *'")
    try:
        croniter(text, datetime(2026, 1, 1, tzinfo=UTC)).get_next(datetime)
    except CroniterBadDateError:
        raise ValueError("a time that comes; this one never does") from None
    return text


def check_hours(text: str) -> str:
    """Return weekdays and hours as they were written."""
    parse_hours(text)
    return text


def check_denied(text: str) -> str:
    """Return days, or weekdays and hours, as they were written."""
    parse_denied(text)
    return text


def parse_checks(value: object) -> tuple[str, ...] | Literal["required"]:
    """Return patterns for names of checks, or that those are meant that the branch's rules require."""
    if value == REQUIRED:
        return REQUIRED
    if isinstance(value, list | tuple) and value and all(isinstance(each, str) and each.strip() for each in value):
        if own := next((each for each in value if each.startswith(OWN_CHECKS)), None):
            raise ValueError(f"checks of others: '{own}' is what Deploy Ops says itself, which never counts")
        return tuple(check_text(each) for each in value)
    raise ValueError("a list of patterns for names of checks, such as ['ci/test', 'build*'], or required")


def check_zone(text: str) -> str:
    """Return the name of a time zone."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("the name of a time zone, such as Europe/Berlin or UTC") from None
    return text


def check_class_path(text: str) -> str:
    """Return the dotted path of a class; whether it can be imported is seen where it is used."""
    if not _DOTTED_PATH.fullmatch(text):
        raise ValueError("the dotted path of a class, such as airflow.providers.smtp.notifications.smtp.SmtpNotifier")
    return text


def check_login(text: str) -> str:
    """Return the name of an account on GitHub."""
    if not _LOGIN.fullmatch(text):
        raise ValueError("a login of GitHub, such as ada-l or renovate[bot]")
    return text


def check_argument(text: str) -> str:
    """Return the name of a keyword argument."""
    if not _ARGUMENT.fullmatch(text):
        raise ValueError("the name of a keyword argument: letters, digits and '_', such as smtp_conn_id")
    return text


def check_conf(conf: dict[str, Any]) -> dict[str, Any]:
    """Return the conf of a run, which travels as JSON."""
    try:
        text = json.dumps(conf, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError("texts, numbers, true, false, null, lists and mappings; quote a date") from error
    if len(text) > CONF_LENGTH_MAX:
        raise ValueError(f"at most {CONF_LENGTH_MAX} characters as JSON")
    return conf


ControlPlane = Annotated[str, AfterValidator(check_control_plane)]
Name = Annotated[str, AfterValidator(check_name)]
Text = Annotated[str, AfterValidator(check_text)]
DeploymentName = Annotated[str, Field(max_length=500), AfterValidator(check_text)]  # as Astro takes it
Repository = Annotated[str, AfterValidator(check_repository)]
BranchName = Annotated[str, AfterValidator(check_branch)]
Host = Annotated[str, AfterValidator(check_host)]
Folder = Annotated[str, AfterValidator(check_folder)]
File = Annotated[str, AfterValidator(check_file)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
ClassPath = Annotated[str, AfterValidator(check_class_path)]
Argument = Annotated[str, AfterValidator(check_argument)]
RunConf = Annotated[dict[str, Any], AfterValidator(check_conf)]
Login = Annotated[str, AfterValidator(check_login)]
Cron = Annotated[str, AfterValidator(check_cron)]
Checks = Annotated[tuple[str, ...] | Literal["required"], PlainValidator(parse_checks)]
Zone = Annotated[str, AfterValidator(check_zone)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
AirflowId = Annotated[str, AfterValidator(check_airflow_id)]
PoolName = Annotated[str, AfterValidator(check_pool_name)]
PoolDescription = Annotated[str, Field(max_length=DESCRIPTION_LENGTH_MAX)]
EnvironmentName = Annotated[str, AfterValidator(check_environment_name)]
MappedConnection = Annotated[ConnectionSource, PlainValidator(parse_connection), PlainSerializer(write_source)]
MappedValue = Annotated[Source, PlainValidator(parse_source), PlainSerializer(write_source)]
Count = Annotated[int, Field(gt=0, le=100_000)]  # Airflow stores two of them, added, as a DAG's limit of 32 bits
Price = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
Machine = Literal["A5", "A10", "A20", "A40", "A60", "A120", "A160"]  # Astro's kinds of worker

# A list in the file is a tuple in the model: only that conversion is let through.
BranchNames = Annotated[tuple[BranchName, ...], Strict(strict=False)]
Hosts = Annotated[tuple[Host, ...], Strict(strict=False), Field(min_length=1)]
Repositories = Annotated[tuple[Repository, ...], Strict(strict=False)]
Patterns = Annotated[tuple[Annotated[str, AfterValidator(check_pattern)], ...], Strict(strict=False)]
InheritedKeys = Annotated[tuple[Annotated[str, AfterValidator(check_inherited)], ...], Strict(strict=False)]
CopiedKeys = Annotated[tuple[Annotated[str, AfterValidator(check_copied)], ...], Strict(strict=False)]
Texts = Annotated[tuple[Text, ...], Strict(strict=False)]
AllowedHours = Annotated[tuple[Annotated[str, AfterValidator(check_hours)], ...], Strict(strict=False)]
DeniedTimes = Annotated[tuple[Annotated[str, AfterValidator(check_denied)], ...], Strict(strict=False)]
Folders = Annotated[tuple[Folder, ...], Strict(strict=False)]
IgnorePatterns = Annotated[tuple[Annotated[str, AfterValidator(check_ignore_pattern)], ...], Strict(strict=False)]
ImageSources = Annotated[
    tuple[Annotated[str, AfterValidator(check_image_source)], ...], Strict(strict=False), Field(min_length=1)
]
