"""What can go wrong, by what helps: try again, change something, or let a person look.

No error here carries a secret: whoever raises one redacts first.
"""

from __future__ import annotations


class DeployOpsError(Exception):
    """Base of every expected failure; its text says what was wrong, where, and what to do."""


class RetryableError(DeployOpsError):
    """The same call may succeed later: a timeout, a 5xx, a rate limit, an unknown ending of a command."""


class PermanentError(DeployOpsError):
    """Nothing changes by trying again; the work holds until its inputs move or a person acts."""


class PolicyError(PermanentError):
    """The policy file is wrong; the text names the key's path, what was found and what is expected."""


class TemplateError(PermanentError):
    """The Deployment template cannot be used; the text names file, key, what was found and what is expected."""


class CommitMissingError(PermanentError):
    """The repository answers, but holds no such commit: it was never pushed, or was garbage-collected."""


class ImageRefusedError(PermanentError):
    """The registry does not let us pull or push; the text names registry, image and what to do."""


class UnsettledError(RetryableError):
    """A deploy was called and did not settle: the same task has nothing left to try, a later run has."""


class ObservationError(RetryableError):
    """GitHub or Astro answered malformed or incomplete; the text names the request. Never an empty observation."""


class RateLimitError(RetryableError):
    """A service asked us to slow down for longer than we wait in place.

    :param retry_after_s: seconds until the service accepts requests again.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnsafePlanError(DeployOpsError):
    """A plan that must not be carried out: it would touch what is not ours."""


class SupersededError(DeployOpsError):
    """The work is no longer wanted: the head or the mark moved since it was planned. Not a failure."""
