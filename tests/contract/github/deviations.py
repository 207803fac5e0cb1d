"""Where GitHub itself does otherwise than its description says: the one table of exceptions, each with its reason."""

from __future__ import annotations

from tests.contract.openapi.deviation import ANY, Deviation

RAW = "application/vnd.github.raw"
ERROR = "basic-error"

_REPO = "/repos/{owner}/{repo}"
_EVERYWHERE = "GitHub's guide to errors says it of every request, the description only of some"
_WITH_BODY = "described without a body; GitHub explains itself in JSON, as in every refusal"

DEVIATIONS = (
    Deviation(ANY, "conditional requests work wherever an ETag was sent (best practices)", status=304, media_type=""),
    Deviation(ANY, f"{_EVERYWHERE}: a body that is no JSON", status=400, schema=ERROR),
    Deviation(ANY, f"{_EVERYWHERE}: no token or a wrong one", status=401, schema=ERROR),
    Deviation(
        ANY, f"{_EVERYWHERE}: the rate limit is used up, or the repository is archived", status=403, schema=ERROR
    ),
    Deviation(ANY, f"{_EVERYWHERE}: what the path names is not there, or not for this token", status=404, schema=ERROR),
    *(
        Deviation(ANY, "GitHub repeats the status in the body of every refusal", status=status, field="status")
        for status in (405, 409, 422)
    ),
    Deviation(f"DELETE {_REPO}/git/refs/{{ref}}", _WITH_BODY, status=422, schema=ERROR),
    Deviation(f"POST {_REPO}/deployments", _WITH_BODY, status=409, schema=ERROR),
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
