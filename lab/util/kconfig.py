"""The settings in kconfig fragments (Documentation/kbuild/kconfig-language of Linux)."""

from __future__ import annotations

import re


def parse(text: str) -> dict[str, str]:
    """``CONFIG_X`` → ``y``, ``n`` or a value, from a fragment or a whole .config.

    The last setting wins, as when kconfig merges fragments.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"\s*(CONFIG_\w+)=(.*?)\s*", line):
            found[match[1]] = match[2]
        elif match := re.fullmatch(r"# (CONFIG_\w+) is not set\s*", line):
            found[match[1]] = "n"
    return found
