"""Runs mmdebstrap, which downloads packages, checks signatures and unpacks them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.errors import ToolchainError
from lab.model import Completed
from lab.progress import current
from lab.toolchain import recipe
from lab.toolchain.bootstrap_progress import Growth
from lab.util import debian, process
from lab.util.terminal import escape, escape_lines

#: Download (300 MB) and unpacking.
MAKE_SECONDS = 1800.0

#: Drops what is not the main archive from the sources that mmdebstrap writes by itself.
_MAIN_ONLY = (
    r"""--setup-hook=sed -i -E '/ [a-z]+-(updates|security) /d' "$1/etc/apt/sources.list" """
)

#: Words of apt and mmdebstrap, and what to do about them.
_HINTS = (
    ("NO_PUBKEY|not signed|keyring", "install the package debian-archive-keyring"),
    ("No space left", "free some disk, or set LAB_CACHE to a folder with 3 GB of room"),
    (debian.GONE_FILE, "the archive's index is older than its files: try again in an hour"),
    ("resolv|onnect|Failed to fetch|timed out", "the Debian archive is out of reach: check the "
     "network, or the proxy in the environment or in apt's configuration"),
    ("Unable to locate", "dockerfiles/packages names a package that the suite does not have"),
)  # fmt: skip


#: apt's words for a version that the archive does not have (any more).
_GONE = re.compile(
    rf"was not found|Unable to locate|{debian.GONE_FILE}|unmet dependencies|held broken"
)


#: apt's own timeouts, in seconds: an archive that stalls is asked twice more, then named.
_PATIENCE = (
    'Acquire::Retries "2";', 'Acquire::http::Timeout "20";', 'Acquire::https::Timeout "20";',
)  # fmt: skip


class GoneError(ToolchainError):
    """The archive does not have the versions that were asked for."""


def command(
    target: Path, address: str | None, names: Sequence[str], lists: Path | None = None
) -> list[str]:
    """The command line of mmdebstrap; ``names`` as apt takes them, each may have a version.

    Without names only the index is read, and kept. ``lists``: one that was read before, which
    is used again. ``?essential`` needs an ``--include`` of its own.
    """
    plain = ",".join(name for name in names if not name.startswith("?"))
    line = [
        "mmdebstrap", "--mode=chrootless", "--variant=extract",
        f"--architectures={recipe.ARCHITECTURE}",
        "--skip=cleanup/apt/cache" if names else "--skip=cleanup/apt",
        *(f"--include={name}" for name in names if name.startswith("?")),
        *([f"--include={plain}"] if plain else []),
    ]  # fmt: skip
    if lists:
        copy = f'cp --recursive {shlex.quote(str(lists))} "$1/var/lib/apt/"'
        line += ["--skip=update", f"--setup-hook={copy}"]
    line += [f"--aptopt={one}" for one in (*_PATIENCE, *debian.proxies_of_this_machine())]
    if address:
        return [*line, recipe.SUITE, str(target), f"deb {address} {recipe.SUITE} main"]
    return [*line, _MAIN_ONLY, recipe.SUITE, str(target)]


@dataclass(frozen=True)
class Known:
    """What is known from the archive's index: where it lies, and how many bytes the packages have.

    ``size`` 0: not known.
    """

    lists: Path | None = None
    size: int = 0


def run(
    target: Path, address: str | None, lock: int, names: Sequence[str], known: Known = Known()
) -> None:
    """Run mmdebstrap for a folder or a tarball; see :func:`command`.

    It holds the lock too: should we be killed, nobody sweeps under it.

    Raises:
        GoneError: the archive does not have one of them.
        ToolchainError: it failed otherwise.
    """
    line = command(target, address, names, known.lists)
    try:
        with current().looking(_look(target, known.size)):
            done = process.run(line, timeout=MAKE_SECONDS, options=process.Options(keep_fds=[lock]))
    except process.TimedOut as late:
        done = late.completed
    if done.returncode:
        raise failed(line, done)


def _look(target: Path, size: int) -> Callable[[], str]:
    """Says how far mmdebstrap is. A tarball is written at the end, of a tree that is elsewhere."""
    return (lambda: "a base of Debian") if target.suffix else Growth(target, size)


def failed(line: list[str], done: Completed) -> ToolchainError:
    """The error about mmdebstrap or apt; it names the file that could not be downloaded."""
    text = done.stderr.decode(errors="replace")
    kind = GoneError if _GONE.search(text) else ToolchainError
    file = escape(debian.not_fetched(text), limit=160)
    return kind(
        f"the toolchain could not be made{f': cannot download {file}' if file else ''}",
        command=shlex.join(line),
        tail=escape_lines(text, last=12),
        hint=hint_for(text) or "run the command by hand, or `inv doctor`",
    )


def hint_for(text: str) -> str:
    """What to do about words of apt or mmdebstrap; empty if that is not known."""
    return next((hint for words, hint in _HINTS if re.search(words, text)), "")


def must(line: list[str], stdout: IO[bytes] | None = None) -> None:
    """Run a program of this machine that unpacks.

    Raises:
        ToolchainError: it failed.
    """
    done = process.run(line, timeout=MAKE_SECONDS, options=process.Options(stdout=stdout))
    if done.returncode:
        raise failed(line, done)
