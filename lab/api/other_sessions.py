"""Labs of this user in other sessions, which have another folder of live labs.

``$XDG_RUNTIME_DIR`` decides which folder a session has, so cron, ``su`` or a second terminal may
have another one. The command line of each machine says which folder it belongs to.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
from pathlib import Path

from lab import config, rundir
from lab.api import lives
from lab.api.context import Context, clean
from lab.api.results import LabStatus
from lab.errors import UsageError
from lab.machine import qemu_process
from lab.machine.qemu_command import LIVE
from lab.run import claim, live, stands
from lab.run.live import Live
from lab.rundir import LabDir
from lab.toolchain import adopt, homes_of_machines


def roots() -> list[Path]:
    """The folders of live labs of this user's other sessions, as far as they can be found."""
    here = rundir.runtime_root()
    user = os.getuid()
    usual = [Path(f"/run/user/{user}/xenlab"), Path(f"/tmp/xenlab-{user}")]
    found = {
        root: root.resolve() for root in (*usual, *homes_of_machines(LIVE)) if _is_private(root)
    }
    others = {real: root for root, real in found.items() if real != here.resolve()}
    return sorted(others.values())


def labs() -> list[tuple[LabDir, Live]]:
    """The live labs of other sessions."""
    dirs = [lab for root in roots() for lab in rundir.all_lab_dirs(root)]
    found = [(lab, live.find(lab)) for lab in dirs]
    return [(lab, one) for lab, one in found if one and _lives(one)]


def statuses(context: Context) -> list[LabStatus]:
    """The labs of other sessions, as far as they are known without asking their dom0."""
    return [_status(context, one) for _, one in labs()]


def running(context: Context, name: str, *, standing_too: bool = False) -> Live:
    """The lab of this name, which must run in this session. With ``standing_too`` it may stand.

    Raises:
        UsageError: there is no such lab, it does not run here, or it must not be disturbed.
        MachineError: its QEMU is stopped.
    """
    clean(context)
    place = lives.current(context, name)
    try:
        found = live.running(place, name)
    except UsageError as error:
        where = "" if claim.maker(place) else where_else(context, name)
        if where:
            raise UsageError(error.message, hint=where) from None
        config.find_lab(context.labs(), name)
        raise
    if why := qemu_process.why_stopped(found.lab.tag):
        raise why
    if not standing_too and (crash := stands.why(found.lab)):
        raise UsageError(
            f"lab {name} stands: {crash}",
            hint=f"look at it: ./inv lab.debug {name}; it goes on when GDB leaves",
        )
    return found


def where_else(context: Context, name: str) -> str:
    """Where else this lab of labs.yaml runs, and the command that reaches it. Empty if nowhere."""
    ours = context.runs.resolve() / name
    for one in statuses(context):
        if one.run and one.run.parent == ours:
            return f"lab {name} runs in another session of yours ({one.where}): {one.reach}"
    return ""


def command(context: Context, found: Live) -> str:
    """The command that reaches, from here, a lab of another session or another labs.yaml."""
    words = ["./inv", "lab.status", found.name]
    file = found.run.path.parent.parent.parent / "labs.yaml"
    if file != context.file.resolve() and file.is_file():
        words += ["--labs", str(file)]
    return session(found.lab.path.parent) + shlex.join(words)


def session(root: Path) -> str:
    """The words before a command that give it this folder of live labs."""
    if root.resolve() == rundir.runtime_root().resolve():
        return ""
    if root == Path(f"/tmp/xenlab-{os.getuid()}"):
        return "XDG_RUNTIME_DIR= "
    return f"XDG_RUNTIME_DIR={shlex.quote(str(root.parent))} "


def _status(context: Context, found: Live) -> LabStatus:
    at_work = claim.maker(found.lab)
    return LabStatus(
        found.name, found.state, found.uptime, found.run.path, guests=list(found.guests),
        description=found.description, running=found.running, elsewhere=True,
        preparing="" if found.running else str(at_work or claim.ENDED),
        where=str(found.lab.path.parent), reach=command(context, found),
    )  # fmt: skip


def _lives(found: Live) -> bool:
    running = found.record is not None and adopt(found.record).alive()
    return running or claim.maker(found.lab) is not None


def _is_private(root: Path) -> bool:
    with contextlib.suppress(OSError):
        seen = root.lstat()
        ours = seen.st_uid == os.getuid() and not seen.st_mode & 0o077
        return stat.S_ISDIR(seen.st_mode) and ours
    return False
