"""Runs a compilation in the toolchain. If it fails, the error shows the compiler's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lab.errors import LabError, ToolchainError
from lab.model import Command, Completed, Toolchain
from lab.progress import current
from lab.util.environment import switched_on
from lab.util.terminal import escape

#: The variable that confines what is compiled. The page of a workshop sets it.
CONFINED = "LAB_CONFINED_BUILDS"
#: Then a build takes at most so many seconds, and each of its programs (prlimit(1)) so much
#: processor time, memory, and bytes of a file.
SECONDS = 100.0
LIMITS = ("prlimit", f"--cpu={SECONDS:.0f}", f"--as={4 << 30}", f"--fsize={256 << 20}",
          "--nproc=4096", "--core=0", "--")  # fmt: skip
IN_WORDS = (
    "on this page a program of a build may take 100 s of processor time, 4 GiB of memory and files "
    "of 256 MiB"
)
#: The most bytes of a temporary folder of such a build.
SCRATCH = 256 << 20
#: The most bytes of output that are kept, and the most of the first errors that are shown.
MOST, FIRST = 2 << 20, 20
_ERROR = re.compile(r": (fatal )?error: |undefined reference to|: multiple definition of")
_LIMIT = re.compile(
    r"CPU time limit|Killed|[Oo]ut of memory|memory exhausted|[Ff]ile (size limit|too large)"
    r"|Cannot allocate memory|No space left|Resource temporarily unavailable"
)


def run(
    toolchain: Toolchain,
    what: str,
    command: Command,
    *,
    refused: type[LabError],
    words: Callable[[Completed], str],
) -> None:
    """Compile ``what``, such as ``guest hello``.

    ``words`` picks the lines of the output that say why it cannot be compiled. The first errors are
    shown before them, because later ones often follow from these.

    Raises:
        ToolchainError: the toolchain itself failed.
        LabError: the class ``refused``; the command ended with a status other than 0.
    """
    folders = [mount.source for mount in command.mounts if mount.writable and mount.source.is_dir()]
    confined = switched_on(CONFINED)
    try:
        with current().looking(lambda: _compiled(folders)):
            done = toolchain.run(_bounded(command, confined=confined), check=False)
    except ToolchainError as error:
        error.message = f"{what} could not be built: {error.message}"
        raise
    if done.returncode != 0:
        last = words(done)
        failure = refused(
            f"{what} does not build (exit status {done.returncode})",
            command=" ".join(command.argv),
            tail="\n".join([*_first(done, last), last]),
        )
        failure.unbuilt = True
        if confined and _LIMIT.search(last):
            failure.hint = IN_WORDS
        raise failure


def _bounded(command: Command, *, confined: bool) -> Command:
    if not confined:
        return replace(command, most=MOST)
    return replace(
        command, argv=[*LIMITS, *command.argv], scratch=SCRATCH, most=MOST,
        timeout=min(command.timeout, SECONDS),
    )  # fmt: skip


def _first(done: Completed, last: str) -> list[str]:
    """The first errors, if the last lines do not have them, and a line between."""
    known = {_without_folder(line) for line in last.splitlines()}
    text = (done.stdout + b"\n" + done.stderr).decode(errors="replace")
    errors = (escape(line) for line in text.splitlines() if _ERROR.search(line))
    found = [line for line in dict.fromkeys(errors) if _without_folder(line) not in known][:FIRST]
    return [*found, "…"] if found else []


def _without_folder(line: str) -> str:
    """An error without the folder of its file, which ``words`` may give from elsewhere."""
    return re.sub(r"^[^\s:]*/", "", line)


def _compiled(folders: Sequence[Path]) -> str:
    """How many files are compiled so far. The total is unknown: only make knows it."""
    count = sum(1 for folder in folders for _ in folder.rglob("*.o"))
    return f"{count} files compiled" if count else ""
