"""What is wrong with a page as a browser shows it: by axe, and by rules of this project."""

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page

AXE: Final = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
AXE_OPTIONS: Final = {
    "runOnly": {"type": "tag", "values": TAGS},
    # A rule that is off unless asked for, since it is so new.
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
    "preload": False,
}
HOUSE_RULES: Final = (Path(__file__).parent / "inspection.js").read_text()
TARGET_PX: Final = 44
"""How high on a phone whatever is at least that can be pressed."""


async def axe_violations(page: Page) -> list[str]:
    """What axe (https://github.com/dequelabs/axe-core) finds: for each element the rule, and how it is broken."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE)
    results: dict[str, Any] = await page.evaluate("(options) => axe.run(document, options)", AXE_OPTIONS)
    return [
        f"{violation['id']}: {node['html'][:120]}: {' '.join(node['failureSummary'].split())}"
        for violation in results["violations"]
        for node in violation["nodes"]
    ]


async def broken_rules(page: Page, *, is_phone: bool) -> list[str]:
    """What breaks the rules that inspection.js has, in sentences."""
    found: list[str] = await page.evaluate(HOUSE_RULES, TARGET_PX if is_phone else 0)
    return found
