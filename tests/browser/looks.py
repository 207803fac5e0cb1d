"""The looks that the page has: both themes, on a desk and on a phone. One page is seen in all of them, unloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from playwright.sync_api import Page, ViewportSize, expect

if TYPE_CHECKING:
    from collections.abc import Iterator

DESK: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SIZES = {"desk": DESK, "phone": PHONE}


def wear_each_look(page: Page) -> Iterator[str]:
    """Let the page wear one look after the other, and yield its name; the first one, on a desk, comes back last."""
    for width, size in SIZES.items():
        page.set_viewport_size(size)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            expect(page.locator("html")).to_have_attribute("data-theme", theme)
            yield f"{theme}-{width}"
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme=THEMES[0])
