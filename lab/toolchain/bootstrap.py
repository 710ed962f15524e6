"""Runs mmdebstrap, which reads an archive's index and checks its signature."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import ToolchainError
from lab.model import Completed
from lab.progress import current
from lab.toolchain import recipe
from lab.util import debian, process
from lab.util.terminal import escape, escape_lines

#: How long the download (300 MB) may take.
MAKE_SECONDS = 1800.0

#: Keeps only the main archive in the sources that mmdebstrap writes by default.
_MAIN_ONLY = (
    r"""--setup-hook=sed -i -E '/ [a-z]+-(updates|security) /d' "$1/etc/apt/sources.list" """
)

#: Patterns in messages of apt and mmdebstrap, and what to do about them.
_HINTS = (
    ("NO_PUBKEY|not signed|keyring", "install the package debian-archive-keyring"),
    ("No space left", "free disk space, or set LAB_CACHE to a folder with 3 GB free"),
    (debian.GONE_FILE, "the archive's index is older than its files, and lists one that is gone: "
     "try again in an hour"),
    ("resolv|onnect|Failed to fetch|timed out", "the Debian archive is out of reach: check the "
     "network, or the proxy in the environment or in apt's configuration"),
    ("Unable to locate", "dockerfiles/packages names a package that the suite does not have"),
)  # fmt: skip


#: Parts of apt's messages about a version that the archive does not have, or no longer has.
_GONE = re.compile(
    rf"was not found|Unable to locate|{debian.GONE_FILE}|unmet dependencies|held broken"
)


#: apt's own timeouts (seconds). If the archive stalls, apt tries twice more, then reports it.
PATIENCE = (
    'Acquire::Retries "2";', 'Acquire::http::Timeout "20";', 'Acquire::https::Timeout "20";',
)  # fmt: skip


class GoneError(ToolchainError):
    """The archive does not have the versions that were asked for."""


def command(target: Path, address: str | None) -> list[str]:
    """The command line that makes mmdebstrap read the archive's index and keep it in a folder.

    From 1.5 on, mmdebstrap refuses the mode ``chrootless`` to root, because scripts of packages
    would run on this machine. Of the variant ``extract`` no script runs, and here no package is
    named.
    """
    line = [
        "mmdebstrap", "--mode=chrootless", "--variant=extract",
        f"--architectures={recipe.ARCHITECTURE}", "--skip=cleanup/apt,check/chrootless",
        *(f"--aptopt={one}" for one in (*PATIENCE, *debian.proxies_of_this_machine())),
    ]  # fmt: skip
    if address:
        return [*line, recipe.SUITE, str(target), f"deb {address} {recipe.SUITE} main"]
    return [*line, _MAIN_ONLY, recipe.SUITE, str(target)]


def run(target: Path, address: str | None, lock: int) -> None:
    """Run mmdebstrap; see :func:`command`.

    It inherits ``lock``, the descriptor of the claim. So even if this process is killed, nobody
    else removes the folder while mmdebstrap works in it.

    Raises:
        ToolchainError: mmdebstrap failed.
    """
    line = command(target, address)
    with current().looking(lambda: "reading Debian's index"):
        done = attempt(line, keep_fds=[lock])
    if done.returncode:
        raise failed(line, done)


def attempt(
    line: Sequence[str], env: Mapping[str, str] | None = None, keep_fds: Sequence[int] = ()
) -> Completed:
    """Run a program that downloads, and return its result even if it failed or timed out."""
    options = process.Options(keep_fds=keep_fds)
    try:
        return process.run(line, env=env, timeout=MAKE_SECONDS, options=options)
    except process.TimedOut as late:
        return late.completed


def failed(line: list[str], done: Completed) -> ToolchainError:
    """The error for a failed mmdebstrap or apt. It names the file that could not be downloaded."""
    text = done.stderr.decode(errors="replace")
    kind = GoneError if _GONE.search(text) else ToolchainError
    file = escape(debian.not_fetched(text), limit=160)
    return kind(
        f"the toolchain could not be made{f': cannot download {file}' if file else ''}",
        command=shlex.join(line),
        tail=escape_lines(text, last=12),
        hint=hint_for(text) or "run the command by hand, or run `./inv doctor`",
    )


def hint_for(text: str) -> str:
    """What to do about a message of apt or mmdebstrap; empty if that is not known."""
    return next((hint for words, hint in _HINTS if re.search(words, text)), "")
