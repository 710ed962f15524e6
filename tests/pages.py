"""Finds the pages of the documentation, and what is in them."""

from __future__ import annotations

import re
from pathlib import Path


def pages(root: Path) -> list[Path]:
    """Every page of the documentation."""
    folders = (root, root / "docs", root / "examples", root / ".github")
    found = [*root.glob("*.md"), *(page for top in folders[1:] for page in top.rglob("*.md"))]
    return sorted(found)


def blocks(page: Path, language: str = "yaml") -> list[str]:
    """The fenced blocks of a language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
