"""Runs a compilation in the toolchain; what fails is the user's code, and says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.errors import LabError, ToolchainError
from lab.model import Command, Completed, Mount, Toolchain
from lab.progress import current


def run(
    toolchain: Toolchain,
    what: str,
    argv: Sequence[str],
    mounts: Sequence[Mount],
    *,
    refused: type[LabError],
    words: Callable[[Completed], str],
    env: Mapping[str, str],
    within: float,
    cwd: str = "/",
) -> None:
    """Compile ``what``, such as ``guest hello``, ``within`` so many seconds.

    ``words`` picks the lines that say why it cannot be compiled.

    Raises:
        ToolchainError: the toolchain itself failed.
        LabError: ``refused``, if the command ended with another status than 0.
    """
    folders = [mount.source for mount in mounts if mount.writable and mount.source.is_dir()]
    try:
        with current().looking(lambda: _compiled(folders)):
            done = toolchain.run(
                Command(list(argv), mounts=mounts, cwd=cwd, env=env, timeout=within), check=False
            )
    except ToolchainError as error:
        error.message = f"{what} could not be built: {error.message}"
        raise
    if done.returncode != 0:
        raise refused(
            f"{what} does not build (exit status {done.returncode})",
            command=" ".join(argv),
            tail=words(done),
        )


def _compiled(folders: Sequence[Path]) -> str:
    """How much there is already. How much there will be, only make knows."""
    count = sum(1 for folder in folders for _ in folder.rglob("*.o"))
    return f"{count} files compiled" if count else ""
