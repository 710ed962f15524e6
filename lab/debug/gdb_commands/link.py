"""Asks the proxy questions (lab/debug/monitor.py), and tables for people."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import gdb

from lab.util import reading

#: What lab.debug wrote for this session.
SESSION: dict[str, Any] = {}


def ask(what: str, **given: Any) -> Any:
    """The proxy's answer to a question."""
    connection = gdb.selected_inferior().connection
    if connection is None or not hasattr(connection, "send_packet"):
        raise gdb.GdbError("not connected to the lab: its machine has ended, or you detached")
    words = json.dumps(given).encode().hex()
    with without_ctrl_c():
        answer = connection.send_packet(f"qLab.{what}:{words}")
    try:
        found = reading.parse_json(bytes.fromhex((answer or b"").decode()))
    except ValueError:
        raise gdb.GdbError("this is not the lab's own connection") from None
    if "error" in found:
        raise gdb.GdbError(found["error"])
    return found


@contextlib.contextmanager
def without_ctrl_c() -> Iterator[None]:
    """Ctrl-C waits until the block is done: GDB would take the answer to a question that it gave up
    for the answer to the next one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def connected() -> bool:
    """Whether a machine is behind this debugger, and not only a core file."""
    return hasattr(gdb.selected_inferior().connection, "send_packet")


def quoted(path: str) -> str:
    """A path as one word of GDB's commands."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def table(rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Show rows as columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True))
        gdb.write(f"{indent}{line.rstrip()}\n")
