"""Creates, lists and destroys domains with ``xl`` in dom0 (xl(1), xl.cfg(5))."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterable, Sequence

from lab.dom0.agent import Dom0, ProgramResult
from lab.dom0.window import FULL
from lab.errors import Dom0Error, ToolstackError, UsageError
from lab.model import Domain, Image
from lab.util import reading, sparse
from lab.util.terminal import escape

#: The folder in dom0 with the guests' files.
GUESTS = "/lab/guests"
#: The program in dom0 that loads the backends (images/backends), and where its archive is put.
BACKENDS, ARCHIVE = "/usr/sbin/lab-backends", "/tmp/backends"
_UNPACK = 'cd / && busybox cpio -idu <"$1" && rm "$1"'
#: Seconds of the host that xl has. It needs one; on a machine full of busy labs, a hundred.
WITHIN = 180.0
#: The size of a sector in bytes. A disk is a whole number of sectors.
SECTOR = 512
#: A line of ``xl list``: name, id, memory in MiB, vCPUs, state letters, CPU seconds.
_LINE = re.compile(
    r"^(\S{1,80}) +(\d{1,9}) +(\d{1,9}) +(\d{1,9}) +([a-z-]{6}) +(\d{1,12}\.\d{1,6}) *$", re.ASCII
)
#: The hint if ``xl`` refused a guest, and the exit status if dom0's Linux killed ``xl`` (SIGKILL).
_REFUSED = "the last lines are xl's own; lab.exec LAB 'xl info' shows how much memory is free"
#: What Xen answers to tools of another control interface (EACCES), and the hint then.
_DENIED = "Permission denied"
_OTHER_TOOLS = "do dom0's tools fit this Xen? Those of its own tree do: tools: source"
_KILLED = 128 + 9
#: ``xl`` prints this if dom0's memory, which holds all its files, is full (strerror(3), ENOSPC).
_NO_ROOM = "No space left on device"


def parse_list(text: str) -> list[Domain]:
    """The domains of ``xl list``'s table."""
    found = []
    for line in text.splitlines():
        if match := _LINE.match(line):
            name, ident, memory, vcpus, state, seconds = match.groups()
            found.append(
                Domain(name, int(ident), int(memory) << 20, int(vcpus), state, float(seconds))
            )
    return found


async def domains(agent: Dom0) -> list[Domain]:
    """The domains that exist now; Domain-0 is the first."""
    result = await agent.run(["xl", "list"])
    if result.status != 0:
        raise Dom0Error("xl list failed in dom0", tail=_words(result))
    return parse_list(result.stdout.decode(errors="replace"))


async def put(agent: Dom0, name: str, files: dict[str, bytes]) -> None:
    """Write a guest's files to dom0; ``files`` are by suffix: ``bin``, ``cfg``, ``ramdisk``.

    Raises:
        Dom0Error: dom0 has no room, for example. Then the unfinished file is emptied, so that the
            next guest has its room.
    """
    for suffix, data in files.items():
        path = f"{GUESTS}/{name}.{suffix}"
        try:
            await agent.write_file(path, data)
        except Dom0Error:
            with contextlib.suppress(Dom0Error):
                await agent.write_file(path, b"")
            raise


async def put_disk(agent: Dom0, name: str, vdev: str, image: Image) -> None:
    """Write the image of a guest's disk to dom0. Only its data takes memory there.

    Raises:
        Dom0Error: dom0 has no room. UsageError: the file is not the one that was looked at.
    """
    path, identity = f"{GUESTS}/{name}.{vdev}", sparse.Identity()
    await agent.write_at(path, 0, b"")
    try:
        with reading.binary(image.path) as file:
            size = sparse.size(file)
            for piece in sparse.pieces(file):
                identity.add(piece)
                await agent.write_at(path, piece.at, piece.data)
    except Dom0Error:
        with contextlib.suppress(Dom0Error):
            await agent.write_at(path, 0, b"")
        raise
    except OSError as error:
        raise UsageError(f"guest {name}: disk {vdev}: {error.strerror or error}") from error
    if identity.of(size) != image.sha256:
        raise UsageError(f"guest {name}: the file of disk {vdev} changed while the lab started")
    await agent.write_at(path, -(-size // SECTOR) * SECTOR, b"")


async def start_backends(agent: Dom0, archive: Image, bridges: Sequence[str]) -> None:
    """Load the drivers that serve disks and network interfaces, and make these bridges.

    Raises:
        Dom0Error: a driver or a bridge is refused; the error's tail is what dom0 said.
    """
    have = await agent.run(["test", "-e", BACKENDS])
    commands: list[list[str]] = [[BACKENDS, *bridges]]
    if have.status:
        await agent.write_file(ARCHIVE, reading.data(archive.path, reading.IMAGE))
        commands.insert(0, ["sh", "-c", _UNPACK, "sh", ARCHIVE])
    for argv in commands:
        result = await agent.run(argv)
        if result.status:
            raise Dom0Error("dom0 cannot serve disks and network interfaces", tail=_words(result))


async def create(
    agent: Dom0, name: str, scheduling: Sequence[str] = (), *, paused: bool = False
) -> None:
    """Create the domain ``name`` from its files in dom0, and let it run unless ``paused``.

    ``scheduling``: the ``xl`` command that first gives it its share of the processors, without
    the domain's name, which is appended.

    Raises:
        ToolstackError: ``xl`` refused it; the error's tail is what ``xl`` printed.
    """
    action = "prepare" if paused else "create"
    result = await agent.run(["lab-guest", action, name, *scheduling], within=WITHIN)
    if result.status != 0:
        words = _words(result)
        raise ToolstackError(
            f"xl refused to create guest {name} (exit status {result.status})",
            command=f"xl create {GUESTS}/{name}.cfg",
            tail=words,
            hint=_hint(result.status, words),
        )


def _hint(status: int, words: str) -> str:
    """What to do about a guest that xl refused, by its status and words."""
    if status == _KILLED or _NO_ROOM in words:
        return FULL
    return _OTHER_TOOLS if _DENIED in words else _REFUSED


async def adopt(agent: Dom0, name: str, number: int, more: Sequence[str] = ()) -> None:
    """Have ``xl`` know the domain ``number``, which Xen created at boot, under this name.

    ``more``: words for ``xl`` afterwards.

    Raises:
        ToolstackError: the toolstack refused it; its own words are the tail.
    """
    argv = ["lab-guest", "adopt", name, str(number), *more]
    result = await agent.run(argv, within=WITHIN)
    if result.status != 0:
        raise ToolstackError(
            f"dom0 could not take over guest {name}, which Xen created "
            f"(exit status {result.status})",
            command=" ".join(argv),
            tail=_words(result),
        )


async def schedule(agent: Dom0, domain: str, scheduling: Sequence[str]) -> None:
    """Give a running domain its share of the processors.

    Raises:
        ToolstackError: ``xl`` refused it; the error's tail is what ``xl`` printed.
    """
    argv = ["xl", *scheduling, domain]
    result = await agent.run(argv, within=WITHIN)
    if result.status != 0:
        raise ToolstackError(
            f"xl refused the scheduler parameters of {domain} (exit status {result.status})",
            command=" ".join(argv),
            tail=_words(result),
        )


async def obey(agent: Dom0, commands: Iterable[Sequence[str]], what: str) -> None:
    """Run commands that set something for all domains, one after the other.

    Raises:
        ToolstackError: one of them failed, so dom0 could not do ``what``; the error's tail is what
            the command printed.
    """
    for argv in commands:
        result = await agent.run(argv, within=WITHIN)
        if result.status != 0:
            raise ToolstackError(
                f"dom0 could not {what} (exit status {result.status})",
                command=shlex.join(argv),
                tail=_words(result),
            )


async def destroy(agent: Dom0, name: str) -> None:
    """Destroy the domain ``name``. Does nothing if there is none.

    Raises:
        ToolstackError: ``xl`` could not destroy it.
    """
    result = await agent.run(["lab-guest", "destroy", name], within=WITHIN)
    if result.status != 0:
        raise ToolstackError(f"xl could not destroy guest {name}", tail=_words(result))


def _words(result: ProgramResult) -> str:
    text = (result.stderr + result.stdout).decode(errors="replace")
    return "\n".join(escape(line) for line in text.splitlines()[-12:])
