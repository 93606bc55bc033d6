"""The table of settings in the README, from the one in webapp/settings.py."""

from webapp.settings import SETTINGS


def markdown_table() -> str:
    """The table of all settings, as the README shows it."""
    rows = [
        (
            f"`{setting.name}`" + (f" or `{setting.name}_FILE`" if setting.secret else ""),
            f"`{setting.default}`" if setting.default else setting.otherwise,
            setting.meaning,
        )
        for setting in SETTINGS
    ]
    lines = [("setting", "default", "meaning"), ("---", "---", "---"), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
