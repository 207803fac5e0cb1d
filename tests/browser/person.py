"""A person at the page, of whom is counted what it costs: clicks, and fields that have to be filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Locator, Page


@dataclass
class Person:
    """Who does everything by pointer and types only into fields. A key that would spare a click counts as none.

    :param page: the Deploys page, alone in a window or within Airflow.
    """

    page: Page | FrameLocator
    clicks: int = 0
    fields: int = 0

    def click(self, element: Locator) -> None:
        """Click what is seen."""
        element.click()
        self.clicks += 1

    def fill(self, label: str, text: str) -> None:
        """Fill in one field of the dialog, or of a form."""
        self.page.get_by_label(label).fill(text)
        self.fields += 1

    def act(self, environment: str, action: str) -> None:
        """Choose an action of a row's menu."""
        self.click(self.page.get_by_role("button", name=f"Actions for {environment}", exact=True))
        self.click(self.page.get_by_role("menuitem", name=action))

    def send(self, label: str) -> None:
        """Send the dialog."""
        self.click(self.page.get_by_role("dialog").get_by_role("button", name=label))
