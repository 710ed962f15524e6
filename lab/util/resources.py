"""Where the files that ship with the lab lie: ``images/``, ``dockerfiles/``, ``labs.yaml``."""

from __future__ import annotations

from pathlib import Path


def resource(*parts: str) -> Path:
    """A file or folder that ships with the lab: in a checkout, or inside the installed package.

    Raises:
        FileNotFoundError: the installation is not whole.
    """
    package = Path(__file__).resolve().parents[1]
    for root in (package.parent, package / "resources"):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(f"{'/'.join(parts)} is missing from the installation")
