"""axe-core, which finds what not everybody can use: fetched, and put into a page."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.npm_file import NpmFile

VERSION = "4.14.1"
AXE = NpmFile(
    package="axe-core",
    version=VERSION,
    sha512="FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    member="package/axe.min.js",
    name=f"axe-core-{VERSION}.js",
)
RUN = """async () => {
    const rules = { "target-size": { enabled: true } }; // WCAG 2.2; axe has it switched off until somebody asks
    const dialog = document.querySelector("dialog:modal");
    if (dialog) dialog.style.zIndex = 9; // axe does not know that it lies above all, whatever its number is
    const met = dialog ?? document; // what a dialog covers, nobody meets
    const { violations, passes } = await axe.run(met, { resultTypes: ["violations"], rules });
    return { violations, passes: passes.map(({ id }) => id) };
}"""


def find_barriers(page: Page) -> list[str]:
    """Return what axe-core finds wrong in what is shown now: the rule, what it wants, and the elements.

    :raises FileNotFoundError: axe-core is not in the cache; `make axe` brings it.
    """
    if not AXE.path.exists():
        raise FileNotFoundError(f"{AXE.path} is missing; `make axe` fetches it")
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.path.read_text(encoding="utf-8"))  # by the debugger: the page's own policy takes no script
    found = page.evaluate(RUN)
    unseen = {"target-size", "color-contrast"} - set(found["passes"])
    assert not unseen, f"axe-core looked at nothing by {unseen}"
    return [_tell(violation) for violation in found["violations"]]


def _tell(violation: dict[str, Any]) -> str:
    nodes = "; ".join(f"{node['target']} {node['html'][:160]} {_tell_why(node)}" for node in violation["nodes"][:3])
    return f"{violation['id']}: {violation['help']} ({len(violation['nodes'])}): {nodes}"


def _tell_why(node: dict[str, Any]) -> str:
    return " ".join(each["message"] for kind in ("any", "all", "none") for each in node[kind])


if __name__ == "__main__":
    AXE.fetch_or_exit()
