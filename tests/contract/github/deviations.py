"""Where GitHub itself does otherwise than its description says: the one table of exceptions, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

ANY = "*"
JSON = "application/json"
RAW = "application/vnd.github.raw"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One exception: an answer, a query parameter or an answer's field that is not described.

    :param operation: method and path as described, or any.
    :param reason: why GitHub is known to do so.
    :param status: of the answer, or of those that have the field.
    :param media_type: of the answer; empty: it has no body.
    :param schema: the component that a JSON body must fit.
    :param query: the parameter.
    :param field: the field, wherever in the answer it stands.
    """

    operation: str
    reason: str
    status: int = 0
    media_type: str = JSON
    schema: str = "basic-error"
    query: str = ""
    field: str = ""

    def concerns(self, operation: object, **facts: str | int) -> bool:
        """Whether this is an exception of the operation with these facts."""
        return self.operation in {ANY, str(operation)} and all(getattr(self, name) == facts[name] for name in facts)


_REPO = "/repos/{owner}/{repo}"
_EVERYWHERE = "GitHub's guide to errors says it of every request, the description only of some"
_WITH_BODY = "described without a body; GitHub explains itself in JSON, as in every refusal"

DEVIATIONS = (
    Deviation(ANY, "conditional requests work wherever an ETag was sent (best practices)", status=304, media_type=""),
    Deviation(ANY, f"{_EVERYWHERE}: a body that is no JSON", status=400),
    Deviation(ANY, f"{_EVERYWHERE}: no token or a wrong one", status=401),
    Deviation(ANY, f"{_EVERYWHERE}: the rate limit is used up", status=403),
    Deviation(ANY, f"{_EVERYWHERE}: what the path names is not there, or not for this token", status=404),
    *(
        Deviation(ANY, "GitHub repeats the status in the body of every refusal", status=status, field="status")
        for status in (405, 409, 422)
    ),
    Deviation(f"DELETE {_REPO}/git/refs/{{ref}}", _WITH_BODY, status=422),
    Deviation(f"POST {_REPO}/deployments", _WITH_BODY, status=409),
    Deviation(
        f"POST {_REPO}/statuses/{{sha}}", "no such commit, or no such state", status=422, schema="validation-error"
    ),
    Deviation(f"GET {_REPO}/git/blobs/{{file_sha}}", "the media type is offered in words", status=200, media_type=RAW),
    Deviation(f"GET {_REPO}/contents/{{path}}", "the media type is offered in words", status=200, media_type=RAW),
    Deviation(
        f"GET {_REPO}/git/matching-refs/{{ref}}",
        "GitHub answers all refs at once and ignores it; a server that pages shall send large pages",
        query="per_page",
    ),
)
