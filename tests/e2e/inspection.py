"""What is wrong with a page as a browser shows it: by axe, and by rules of this project."""

from collections.abc import Sequence
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
OF_A_LOOK: Final = ("color-contrast", "target-size")
"""The rules that hang on colours and sizes."""
HOUSE_RULES: Final = (Path(__file__).parent / "inspection.js").read_text()
TARGET_PX: Final = 44
"""How high on a phone whatever is at least that can be pressed."""


async def axe_violations(page: Page, *, only: Sequence[str] = ()) -> list[str]:
    """What axe (https://github.com/dequelabs/axe-core) finds: for each element the rule, and how it is broken.

    It goes by all rules, unless some are named.
    """
    options = {**AXE_OPTIONS, "runOnly": {"type": "rule", "values": only}} if only else AXE_OPTIONS
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE)
    results: dict[str, Any] = await page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{violation['id']}: {node['html'][:120]}: {' '.join(node['failureSummary'].split())}"
        for violation in results["violations"]
        for node in violation["nodes"]
    ]


async def broken_rules(page: Page, *, is_phone: bool) -> list[str]:
    """What breaks the rules that inspection.js has, in sentences."""
    found: list[str] = await page.evaluate(HOUSE_RULES, TARGET_PX if is_phone else 0)
    return found
