"""The templates: booted labs that are stored, so that labs come up at once."""

from __future__ import annotations

from typing import Any

from lab.machine import template, template_folder
from lab.run import templates


def template_list() -> list[dict[str, Any]]:
    """All templates: key, lab, architecture, clock, whether with its guests, bytes on the disk."""
    return [
        {
            "key": one.key,
            "lab": str(one.about.get("lab", "")),
            "arch": str(one.about.get("arch", "")),
            "clock": str(one.about.get("clock", "")),
            "guests": "paused" in one.about,
            "size": template_folder.occupied(one.path),
            "path": one.path,
            "made_of": one.about.get("made of", {}),
        }
        for one in template.everything(templates.root())
    ]


def template_clean() -> int:
    """Remove all templates; returns how many bytes they had. Running labs keep what they use, and
    one stays that a command has found and is about to start from."""
    return template_folder.clean(templates.root())
