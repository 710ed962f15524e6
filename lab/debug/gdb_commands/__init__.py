"""GDB's ``lab`` commands. GDB's own Python runs this package. It may import only what needs no
other package: ``lab.util.reading`` and ``lab.util.elf_layout``.

:func:`start` reads what ``lab.debug`` wrote for this session, connects, and loads symbols.
"""

from __future__ import annotations

import signal
from pathlib import Path

import gdb

from lab.debug.gdb_commands import link, places, refresh, rtos_commands, unwinding
from lab.util import reading

#: What GDB needs so that a script and an editor see no questions. The proxy always answers, or
#: ends: lab goto may take minutes, and GDB would give up after some seconds.
QUIET = ("set remotetimeout 86400", "set confirm off", "set pagination off",
         "set breakpoint pending off", "set print thread-events off",
         "set backtrace limit 200")  # fmt: skip


def start(file: str) -> None:
    """Begin a session. ``file``: what lab.debug wrote (lab/debug/launch.py)."""
    link.SESSION.update(reading.json_file(Path(file)))
    link.SESSION["now_on"] = link.SESSION["on"]
    pagination = gdb.parameter("pagination")
    for line in QUIET:
        gdb.execute(line, to_string=True)
    for name, folder in link.SESSION["sources"]:
        gdb.execute(f"set substitute-path {name} {link.quoted(folder)}", to_string=True)
    places.define()
    rtos_commands.define()
    refresh.define()
    unwinding.define()
    gdb.execute(f"set pagination {'on' if pagination else 'off'}", to_string=True)


def connect() -> None:
    """Connect to the lab, and look where the session wants breakpoints to count."""
    try:
        gdb.execute(f"target remote {link.SESSION['socket']}", to_string=True)
        places.look(link.SESSION["on"])
        for line in link.SESSION["notes"]:
            gdb.write(f"{line}\n")
    finally:
        ready()


def ready() -> None:
    """From now on Ctrl-C is for GDB (lab/util/lending.py). One that came before is, too."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
