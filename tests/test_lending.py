"""The terminal is lent to a program, and is as it was when the program and all of it have ended."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

#: Like a sandbox: it ends at once when it is asked to, and what runs in it ends later. That one
#: turns the echo of the terminal off as the last thing that it does.
SANDBOX = """
(trap '' TERM; echo begun >"$0"; sleep 0.5; stty -echo </dev/tty) &
trap 'exit 0' TERM
wait
"""
#: Lends the terminal, waits until nobody holds standard error, and looks at the terminal.
LENDER = """
import fcntl, os, sys, termios
from lab.util import process

fcntl.ioctl(0, termios.TIOCSCTTY, 1)
before = termios.tcgetattr(0)
with process.on_terminal(["sh", "-c", sys.argv[2], sys.argv[1]]):
    assert open(sys.argv[1]).read() == "begun\\n"
os.close(2)
assert os.read(int(sys.argv[3]), 4096) == b""
sys.exit(0 if termios.tcgetattr(0) == before else "the terminal has changed")
"""


def test_a_sandboxs_program_is_waited_for(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    reader, writer = os.pipe()
    try:
        command = [sys.executable, "-c", LENDER, str(begun), SANDBOX, str(reader)]
        child = subprocess.Popen(
            command, stdin=slave, stderr=writer, pass_fds=[reader], start_new_session=True
        )
        os.close(writer)
        assert child.wait(60) == 0, os.read(reader, 4096)
    finally:
        for each in (master, slave, reader):
            os.close(each)
