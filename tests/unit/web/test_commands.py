"""Commands for a seat: what they said, how they ended, what they may use."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from lab.web import commands
from lab.web.commands import Commands


def test_what_a_command_said_and_how_it_ended(tmp_path: Path) -> None:
    """The error of a command is told; its stages that went well are left out."""
    done = asyncio.run(Commands().run(["lab.status", "nosuch"], tmp_path / "labs.yaml"))
    assert not done.well
    assert done.status == 2
    assert "no such file" in done.said
    (tmp_path / "log").write_text("toolchain … 0.0s\n  first lines … 0.1s\nPASS\x1b[31m\n")
    assert commands.said(tmp_path / "log") == "PASS\\x1b[31m"


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    limits = replace(commands.BUILD, seconds=0)
    done = asyncio.run(Commands().run(["lab.status"], tmp_path / "labs.yaml", limits))
    assert not done.well
    assert "took too long" in done.said


def test_limits_hold_for_a_program_that_runs() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        commands.BUILD.set(child.pid)
        assert resource.prlimit(child.pid, resource.RLIMIT_AS)[1] == commands.BUILD.memory
        assert resource.prlimit(child.pid, resource.RLIMIT_FSIZE)[0] == commands.BUILD.file
        child.kill()
    commands.BUILD.set(child.pid)
