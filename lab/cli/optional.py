"""Packages that only some commands need."""

from __future__ import annotations

from importlib.util import find_spec

from lab.progress import Progress


def have(package: str, group: str, progress: Progress) -> None:
    """Install the packages of an optional group, unless ``package`` is there.

    Raises:
        ToolchainError: they cannot be installed.
    """
    if find_spec(package) is None:
        from lab import install  # slow to load, and seldom needed

        install.ensure(group, progress)
