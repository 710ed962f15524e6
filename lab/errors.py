"""All errors that a user can see: what happened, the command, the last lines, what to do.

The root is :class:`LabError`; each layer has a class of its own. Only ``lab.cli`` prints them.
"""

from __future__ import annotations

from pathlib import Path

from lab.model import ExitStatus, Layer

#: The most characters of a command line that are shown.
COMMAND_SHOWN = 400


class LabError(Exception):
    """An error to show to the user, in words of the user's world.

    Attributes:
        message: what happened, in one sentence.
        layer: the layer that failed; ``None`` for usage errors.
        command: the command line that failed, ready to paste; may be empty.
        tail: the last lines of its output or of the console concerned, already harmless
            to print (see :func:`lab.util.terminal.escape`).
        hint: what to do about it.
        run: the run folder, if there is one and the caller cannot know it otherwise.
        unbuilt: a compiler refused the sources of a guest, of Xen or of Linux.
    """

    layer: Layer | None = None
    run: Path | None = None
    unbuilt = False
    exit_status: ExitStatus = ExitStatus.INFRASTRUCTURE

    def __init__(self, message: str, *, command: str = "", tail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.command = command
        self.tail = tail
        self.hint = hint

    def __str__(self) -> str:
        parts = [self.message]
        if self.command:
            parts.append(f"  command: {_shortened(self.command)}")
        if self.tail:
            parts.append("  last lines:")
            parts.extend(f"    {line}" for line in self.tail.splitlines())
        if self.hint:
            parts.append(f"  what to do: {self.hint}")
        return "\n".join(parts)


def _shortened(command: str) -> str:
    """Cut a long command line: some have hundreds of package names, which would hide what
    matters."""
    rest = len(command) - COMMAND_SHOWN
    return command if rest <= 20 else f"{command[:COMMAND_SHOWN]} … [{rest} more characters]"


class UsageError(LabError):
    """A wrong argument: an unknown lab, a lab that is not running, a bad option."""

    exit_status = ExitStatus.USAGE


class ConfigError(UsageError):
    """Something wrong in labs.yaml; the message begins with ``file:line:column``."""


class BusyError(UsageError):
    """Another command has the lab; the message names it."""


class LockError(UsageError):
    """Locked packages cannot be had or have other bytes. Only another ``labs.lock`` helps, not
    another try."""


class ToolchainError(LabError):
    """The toolchain could not be made or entered, or a program in it could not start."""

    layer = Layer.TOOLCHAIN


class ImageError(LabError):
    """A package could not be had, an image could not be built, or a stored one is damaged."""

    layer = Layer.IMAGE


class BundleError(LabError):
    """A file is not a bundle, is damaged or incomplete, or does not fit."""

    layer = Layer.IMAGE


class MachineError(LabError):
    """QEMU did not start, died, or does not answer."""

    layer = Layer.QEMU


class HypervisorError(LabError):
    """Xen did not come up, or panicked."""

    layer = Layer.XEN
    exit_status = ExitStatus.PLATFORM


class Dom0Error(LabError):
    """dom0 did not come up, panicked, or its agent does not answer."""

    layer = Layer.DOM0
    exit_status = ExitStatus.PLATFORM


class ToolstackError(LabError):
    """``xl`` refused a guest."""

    layer = Layer.TOOLSTACK
    exit_status = ExitStatus.TOOLSTACK


class GuestError(LabError):
    """A guest did not build, or did not do what was expected of it."""

    layer = Layer.GUEST
    exit_status = ExitStatus.GUEST


class GuestCrashed(GuestError, AssertionError):
    """A guest's domain crashed, and labs.yaml does not allow it."""


class NotSeen(GuestError, AssertionError):
    """A console did not print the expected text."""
