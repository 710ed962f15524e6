"""Runs a compilation in the toolchain. If it fails, the error shows the compiler's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lab.errors import LabError, ToolchainError
from lab.model import Command, Completed, Toolchain
from lab.progress import current


def run(
    toolchain: Toolchain,
    what: str,
    command: Command,
    *,
    refused: type[LabError],
    words: Callable[[Completed], str],
) -> None:
    """Compile ``what``, such as ``guest hello``.

    ``words`` picks the lines of the output that say why it cannot be compiled.

    Raises:
        ToolchainError: the toolchain itself failed.
        LabError: the class ``refused``; the command ended with a status other than 0.
    """
    folders = [mount.source for mount in command.mounts if mount.writable and mount.source.is_dir()]
    try:
        with current().looking(lambda: _compiled(folders)):
            done = toolchain.run(command, check=False)
    except ToolchainError as error:
        error.message = f"{what} could not be built: {error.message}"
        raise
    if done.returncode != 0:
        failure = refused(
            f"{what} does not build (exit status {done.returncode})",
            command=" ".join(command.argv),
            tail=words(done),
        )
        failure.unbuilt = True
        raise failure


def _compiled(folders: Sequence[Path]) -> str:
    """How many files are compiled so far. The total is unknown: only make knows it."""
    count = sum(1 for folder in folders for _ in folder.rglob("*.o"))
    return f"{count} files compiled" if count else ""
