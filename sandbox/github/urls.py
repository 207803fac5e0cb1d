"""Every address that GitHub's answers carry, API and HTML. Knows no Git and serves nothing."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

API_PATH = "/api/v3"


@dataclass(frozen=True, slots=True)
class Urls:
    """The addresses of one repository.

    :param root: where this GitHub stands, `http://127.0.0.1:8900/github`, without a trailing slash.
    :param full_name: `owner/name`.
    """

    root: str
    full_name: str

    def build_api(self, *segments: object) -> str:
        """Give the API address of something in the repository; slashes inside a segment stay."""
        return "/".join([f"{self.root}{API_PATH}/repos/{self.full_name}", *_quote_all(segments)])

    def build_html(self, *segments: object) -> str:
        """Give the address of a page of the repository."""
        return "/".join([f"{self.root}/{self.full_name}", *_quote_all(segments)])

    def build_user_api(self, login: str) -> str:
        """Give the API address of a person or organization."""
        return f"{self.root}{API_PATH}/users/{quote(login)}"

    def build_user_html(self, login: str) -> str:
        """Give the page of a person or organization."""
        return f"{self.root}/{quote(login)}"

    @property
    def host(self) -> str:
        """Give host and port, as SSH and git addresses name them."""
        return urlsplit(self.root).netloc


def _quote_all(segments: tuple[object, ...]) -> list[str]:
    return [quote(str(segment)) for segment in segments if segment != ""]
