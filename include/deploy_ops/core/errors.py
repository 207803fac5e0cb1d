"""What can go wrong, by what helps: try again, change something, or let a person look.

No error here carries a secret: whoever raises one redacts first.
"""

from __future__ import annotations


class DeployOpsError(Exception):
    """Base of every expected failure; its text says what was wrong, where, and what to do."""


class RetryableError(DeployOpsError):
    """The same call may succeed later: a timeout, a 5xx, a rate limit, an unknown ending of a command."""


class PermanentError(DeployOpsError):
    """The same inputs fail again: it lies in the commit, the rendered template, the policy or the person's form.

    The work holds until one of them moves or a person acts. What is mended elsewhere (a connection, a worker, a
    registry, a name in Astro) is retryable: nobody would tell us that it was mended.
    """


class PolicyError(PermanentError):
    """The policy file is wrong; the text names the key's path, what was found and what is expected."""


class TemplateError(PermanentError):
    """The Deployment template cannot be used; the text names file, key, what was found and what is expected."""


class ImageRefusedError(RetryableError):
    """The registry refuses us, or has nothing that we can use; the text says what to do. Another source may serve."""


class OtherPlatformError(ImageRefusedError):
    """The registry has the image, for other platforms than the one that Astro runs."""


class RunSpentError(RetryableError):
    """The same run has nothing left to try, a later one has."""


class UnsettledError(RunSpentError):
    """A deploy was called and did not settle."""


class UnverifiedError(PermanentError):
    """A deploy settled, and is shown not to work: no failed deploy. The text names each error, and what to do."""


NOTHING_FOLLOWS = "nothing is concluded from it, and the next attempt asks again"
"""What an ObservationError says in place of advice where a person has nothing to do."""


class WriteRefusedError(RetryableError):
    """A service refuses a write for a reason that it names: a conflict, a rule of the branch, a missing permission.

    :param status: its HTTP status.
    :param said: its own words of it.
    """

    def __init__(self, message: str, status: int, said: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.said = said


class BranchMovedError(WriteRefusedError):
    """Somebody else moved, made or deleted the branch since it was read; whoever tries again reads first."""


class WriteUnknownError(RetryableError):
    """A write got no whole answer: it may have been done. Whoever tries again looks first."""


class ObservationError(RetryableError):
    """A service answered malformed or incomplete; the text names the request. Never an empty observation."""


class SilenceError(ObservationError):
    """A service gave no usable answer, however often it was asked."""


class TokenRefusedError(ObservationError):
    """A service does not take our token at all, or there is none that could be sent."""


class RightRefusedError(ObservationError):
    """A service takes our token, and does not let it read this."""


class AbsentError(ObservationError):
    """A service says that there is no such thing, or shows it to nobody like us."""


class MalformedAnswerError(ObservationError):
    """One thing in an answer has not the shape that it must have; the rest of the answer may be sound."""


class ReadRefusedError(ObservationError):
    """A read is refused: the token lacks a permission, or is none."""


class CommitMissingError(ObservationError):
    """The repository answers, but holds no such commit: never pushed, garbage-collected, or not there yet.

    No permanent failure: a commit may be read of a moment before every server of GitHub's has it.
    """


class RateLimitError(RetryableError):
    """A service asked us to slow down for longer than we wait in place.

    :param retry_after_s: seconds until the service accepts requests again.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SupersededError(DeployOpsError):
    """The work is no longer wanted: the head or the mark moved since it was planned. Not a failure.

    :param seen: the id of the newest deploy record that was read for it, empty where there is none; None: not read.
    """

    def __init__(self, message: str, seen: str | None = None) -> None:
        super().__init__(message)
        self.seen = seen


class SealError(PermanentError):
    """What a step was handed bears no seal of this control plane: changed by hand, or sealed under another token.

    The same run fails again. A new run is handed anew what it works on.
    """
