"""What ``./inv`` runs if there is no environment yet: it makes one, then runs the task in it.

If the task will need the toolchain, that is made at the same time. Nothing but Python's own
library may be imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lab import install
from lab.progress import Progress

#: The tasks that need the toolchain and what images are made of.
_TASKS = ("lab.up", "lab.run", "lab.matrix", "image.build")
#: With these, the task decides by itself what it needs, or needs nothing.
_OWN_WAY = ("--labs", "-l", "--door", "-d", "--arch", "--plan", "--help", "-h")
LABS = Path("labs.yaml")


def main() -> NoReturn:
    """``FOLDER PYTHON STAMP WORD…``: make the environment, then run the task of the words."""
    install.main(beside)


def beside(words: Sequence[str], progress: Progress) -> None:
    """What is made beside the environment, for a task of these words."""
    if needs_toolchain(words) and LABS.exists():
        from lab.api.first_start import make_toolchain

        make_toolchain(LABS, progress)


def needs_toolchain(words: Sequence[str]) -> bool:
    """Whether a task surely needs the toolchain of the labs file in this folder."""
    own = any(word.partition("=")[0] in _OWN_WAY for word in words[1:])
    return bool(words) and words[0] in _TASKS and not own
