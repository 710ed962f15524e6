"""What ``./inv`` runs if there is no environment yet: it makes one, then runs the task in it.

If the task will need the toolchain, that is made at the same time. Nothing but Python's own
library may be imported here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lab import install
from lab.model import ARCHITECTURES, Architecture
from lab.progress import Progress
from lab.util import reading

#: The tasks that need the toolchain and what images are made of.
_OF_ONE_LAB = ("lab.up", "lab.run")
_TASKS = (*_OF_ONE_LAB, "lab.matrix", "lab.explore", "image.build")
#: With these, the task decides by itself what it needs, or needs nothing.
_OWN_WAY = ("--labs", "-l", "--door", "-d", "--plan", "--help", "-h")
_ARCH = "--arch"
LABS = Path("labs.yaml")
#: The lab of a task without a name.
_DEFAULT = "hello"


def main() -> NoReturn:
    """``FOLDER PYTHON STAMP WORD…``: make the environment, then run the task of the words."""
    bundle = named_bundle(sys.argv[4:])
    install.main(beside, lambda into: bundle is not None and wheels(bundle, into))


def named_bundle(words: Sequence[str]) -> Path | None:
    """The bundle that ``--bundle`` before the task names, or the environment."""
    first = words[0] if words else ""
    if first == "--bundle" and len(words) > 1:
        return Path(words[1])
    if first.startswith("--bundle="):
        return Path(first.partition("=")[2])
    return Path(os.environ["LAB_BUNDLE"]) if os.environ.get("LAB_BUNDLE") else None


def wheels(bundle: Path, into: Path) -> bool:
    """Put the wheels of a bundle into a folder; whether there are any."""
    from lab.api.first_start import unpack_wheels

    return unpack_wheels(bundle, into)


def beside(words: Sequence[str], progress: Progress) -> None:
    """What is made beside the environment, for a task of these words."""
    if not needs_toolchain(words) or not LABS.exists() or os.environ.get("LAB_BUNDLE"):
        return
    if arch := architecture(words, _text(LABS)):
        from lab.api.first_start import make_toolchain

        make_toolchain(LABS, progress, arch)


def needs_toolchain(words: Sequence[str]) -> bool:
    """Whether a task surely needs the toolchain of the labs file in this folder."""
    own = any(word.partition("=")[0] in _OWN_WAY for word in words[1:])
    return bool(words) and words[0] in _TASKS and not own


def architecture(words: Sequence[str], labs: str) -> Architecture | None:
    """The architecture that a task will need. ``labs``: the text of the labs file.

    Nothing here can read YAML, so this is ``None`` unless the text leaves no doubt.
    """
    known = {one.xen: one for one in ARCHITECTURES}
    first, *others = known
    for number, word in enumerate(words):
        option, _, value = word.partition("=")
        if option == _ARCH:
            return known.get(value or next(iter(words[number + 1 :]), ""))
    text = re.sub(r"(^|\s)#.*", "", labs)
    if not any(other in text for other in others):
        return known[first]
    if words[0] not in _OF_ONE_LAB:
        return None
    name = next((word for word in words[1:] if not word.startswith("-")), _DEFAULT)
    lab = re.search(rf"^( +){re.escape(name)}:(.*(?:\n(?:\1 .*)?)*)", _labs_of(text), re.MULTILINE)
    if not lab or "<<" in lab[2] or "*" in lab[2]:
        return None
    found = re.search(r"\barch: *[\"']?(\w+)", lab[2])
    return known.get(found[1] if found else first)


def _text(file: Path) -> str:
    try:
        return reading.text(file, errors="replace")
    except OSError:  # the task that comes next says why
        return ""


def _labs_of(text: str) -> str:
    """What comes below ``labs:``."""
    found = re.search(r"^labs:.*\n((?:[ #].*\n|\n)*)", text + "\n", re.MULTILINE)
    return found[1] if found else ""
