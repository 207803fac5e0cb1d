"""Follows links as somebody with a browser does: what was printed, and what the product wrote, has to open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx

from demo.outside import Outside
from demo.witness import WitnessError

_WRITTEN = re.compile(r"https?://[^\s<>()\[\]`'\"]+")
_HREF = re.compile(r"<a [^>]*href=\"([^\"]*)\"")
_BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
_OPEN = frozenset({200, 410})
"""Answers that tell something: 410 when and what was deleted."""
_AIRFLOW = re.compile(
    r"/dags/(?P<dag>[^/]+)(/runs/(?P<run>[^/]+)(/tasks/(?P<task>[^/]+)(/mapped/\d+)?(/required_actions)?)?)?"
)


def find_links(text: str) -> set[str]:
    """Return the addresses that a text of any kind names, Markdown as well as plain."""
    return {found.rstrip(".,;:!?") for found in _WRITTEN.findall(text)}


@dataclass(frozen=True, slots=True)
class Links:
    """Whoever follows them, without any credentials but Airflow's.

    :param home: the repository's address on GitHub.
    """

    outside: Outside
    home: str

    def find_in_row(self, row: Mapping[str, Any]) -> set[str]:
        """Return the addresses to which the Deploys page leads from a row."""
        outcomes = row.get("outcomes") or ()
        runs = [(row.get("run_dag"), row.get("run_id")), *((each["dag"], each["run_id"]) for each in outcomes)]
        commits = {row.get("head"), row.get("deployed"), *(each["commit"] for each in outcomes)} - {None, ""}
        return {
            *filter(None, (row.get("airflow_url"), row.get("astro_url"))),
            *(self.outside.link(dag, run_id) for dag, run_id in runs if dag and run_id),
            *(f"{self.home}/commit/{commit}" for commit in commits),
            *(f"{self.home}/pull/{number}" for number in {row.get("pull"), *row.get("pulls", ())} if number),
        }

    def find_in_page(self, url: str) -> set[str]:
        """Return the addresses to which a page of the sandbox leads: comments, statuses and whatever else is on it."""
        page = self._get(url)
        return {urldefrag(urljoin(url, unescape(found))).url for found in _HREF.findall(page.text)}

    def follow(self, urls: Iterable[str]) -> int:
        """Return how many addresses of sandbox and Airflow there were; one that does not open is an error."""
        ours = sorted(url for url in set(urls) if self._is_ours(url))
        if dead := [f"{url}: {why}" for url in ours if (why := self._tell_end(url))]:
            raise WitnessError(f"{len(dead)} of {len(ours)} links do not open: {'; '.join(dead)}")
        return len(ours)

    def _is_ours(self, url: str) -> bool:
        return url.startswith((self.outside.ports.sandbox_url, self.outside.ports.airflow_url))

    def _get(self, url: str) -> httpx.Response:
        return httpx.get(url, headers=_BROWSER, follow_redirects=True, timeout=60)

    def _tell_end(self, url: str) -> str:
        """Return why the address is a dead end, empty if it is none."""
        if url.startswith(self.outside.ports.airflow_url):
            return _tell_status(self.outside.airflow.get(_find_subject(urlsplit(url).path)))
        answer = self._get(url)
        is_for_people = "text/html" in answer.headers.get("content-type", "")
        is_for_programs = urlsplit(url).path.startswith("/sandbox/")
        return _tell_status(answer) or ("" if is_for_people or is_for_programs else "it is no page")


def _tell_status(answer: httpx.Response) -> str:
    return "" if answer.status_code in _OPEN else f"HTTP {answer.status_code}"


def _find_subject(path: str) -> str:
    """Return where Airflow's API has what a page of its UI shows: the UI answers 200 whatever it is asked for."""
    found = _AIRFLOW.fullmatch(path)
    if found is None:
        return path
    run = f"/dagRuns/{found['run']}" if found["run"] else ""
    task = f"/taskInstances/{found['task']}" if found["task"] else ""
    return f"/api/v2/dags/{found['dag']}{run}{task}"


def list_written(rows: Iterable[Mapping[str, Any]], links: Links) -> Iterator[str]:
    """Yield what the rows lead to, and what each sandbox page leads to that they or the start page lead to."""
    start = links.outside.ports.sandbox_url + "/"
    first = {start, *links.find_in_page(start), *(url for row in rows for url in links.find_in_row(row))}
    yield from first
    for url in sorted(first):
        if url.startswith(start) and urlsplit(url).path.startswith(("/github/", "/astro/")):
            yield from links.find_in_page(url)
