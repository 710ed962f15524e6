"""The errors that all doors share: missing folders, and programs that failed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from lab.errors import ToolchainError
from lab.model import Command, Completed, Mount
from lab.util import process
from lab.util.terminal import escape_lines

#: The variable in a started program's environment that holds the tag it was started with.
TAG = "LAB_TAG"


def check_mounts(mounts: Sequence[Mount]) -> None:
    """Check that what is to be mounted exists.

    Raises:
        ToolchainError: a folder or file does not exist.
    """
    for mount in mounts:
        if not mount.source.exists():
            raise ToolchainError(
                f"cannot mount {mount.source} in the toolchain: there is no such file or folder"
            )


def no_program(done: Completed, tail: str) -> ToolchainError:
    """The toolchain does not have the program."""
    return ToolchainError(
        f"the toolchain has no program {done.argv[0]}",
        command=shlex.join(done.argv),
        tail=tail,
        hint="`inv toolchain.info` lists its packages; to add one, edit dockerfiles/packages",
    )


def failed(done: Completed) -> ToolchainError:
    """A program ended with another exit status than 0."""
    return ToolchainError(
        f"{Path(done.argv[0]).name} failed in the toolchain (exit status {done.returncode})",
        command=shlex.join(done.argv),
        tail=escape_lines(done.stdout + done.stderr, last=20),
    )


def late(command: Command, done: Completed) -> ToolchainError:
    """A program did not end within its timeout, and was ended."""
    name, seconds = Path(command.argv[0]).name, command.timeout
    return ToolchainError(
        f"{name} took longer than {seconds:g} s in the toolchain and was ended",
        command=shlex.join(command.argv),
        tail=escape_lines(done.stdout + done.stderr, last=20),
    )


def tail_of(log: IO[bytes]) -> str:
    """The last lines of a log that may still be written to."""
    try:
        return escape_lines(Path(str(log.name)).read_bytes(), last=20)
    except OSError:
        return ""


def proxy_variables() -> dict[str, str]:
    """The proxies in the environment, for a program that may use the network."""
    return {name: os.environ[name] for name in process.KEPT_ENVIRONMENT
            if name.lower().endswith("_proxy") and name in os.environ}  # fmt: skip
