"""Which command is at work on a lab, at which stage, and who interrupted it."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import rundir
from lab.errors import BusyError, UsageError
from lab.progress import Progress
from lab.run import claim, live
from lab.rundir import LabDir
from lab.util import process

#: Prepares the lab ``one`` in the stage ``images`` until it is interrupted.
MAKER = """
import sys
from pathlib import Path
from lab import rundir
from lab.run import live
from lab.progress import Progress
lab = rundir.lab_dir(Path(sys.argv[1]), "one")
say = Progress(quiet=True)
try:
    with live.claimed(lab, "one", "lab.up", say), say.stage("images"):
        print("ready", flush=True)
        sys.stdin.read()
except KeyboardInterrupt as interrupt:
    print(interrupt.args[0] if interrupt.args else "somebody", flush=True)
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabDir]:
    base = tempfile.mkdtemp(prefix="xlu-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", base)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    yield rundir.lab_dir(tmp_path / "runs", "one")
    shutil.rmtree(base)


def test_the_stage_is_seen_by_others(lab: LabDir) -> None:
    """They see the innermost one. Afterwards they see nothing."""
    say = Progress(io.StringIO())
    with live.claimed(lab, "one", "lab.up", say):
        assert str(claim.maker(lab)) == f"process {os.getpid()} (lab.up) for 0 s"
        with say.stage("images"):
            with say.stage("kernel"):
                assert str(claim.maker(lab)).endswith(" for 0 s: kernel")
            assert str(claim.maker(lab)).endswith(" for 0 s: images")
    assert claim.maker(lab) is None
    assert not list(rundir.lock_folder().glob("*.at"))


def test_a_lab_without_a_folder_is_prepared(lab: LabDir) -> None:
    """Its name is known. Whoever wants to use it is told which command prepares it, and at which
    stage."""
    say = Progress(quiet=True)
    with live.claimed(lab, "one", "lab.up", say), say.stage("images"):
        assert [one.id for one in live.of_session()] == [lab.id]
        words = r"lab one is being prepared by process \d+ \(lab.up\) for 0 s: images"
        with pytest.raises(UsageError, match=words):
            live.running(lab, "one")
        with pytest.raises(BusyError, match=r"process \d+ \(lab.up\) for 0 s: images"):
            live.claimed(lab, "one", "lab.run").__enter__()
    assert live.of_session() == []


@pytest.mark.parametrize("by_command", [True, False])
def test_both_sides_know_who_interrupted(tmp_path: Path, lab: LabDir, by_command: bool) -> None:
    """A command gives its name; a person's Ctrl-C has none."""
    argv = [sys.executable, "-c", MAKER, str(tmp_path / "runs")]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as maker:
        assert maker.stdout
        assert maker.stdout.readline() == "ready\n"
        if by_command:
            found = claim.interrupt(lab, "lab.down")
            assert str(found).startswith(f"process {maker.pid} (lab.up) for ")
        else:
            maker.send_signal(signal.SIGINT)
        said = maker.stdout.readline()
    assert said == (f"interrupted by lab.down of process {os.getpid()}\n" if by_command
                    else "somebody\n")  # fmt: skip
    assert claim.interrupt(lab, "lab.down") is None


def test_what_a_lock_says_is_harmless(lab: LabDir) -> None:
    """Escape sequences in it do not reach a terminal."""
    rundir.claim_file(lab).touch()
    with rundir.claim_file(lab).open("r+b") as lock:
        claim.say(lab, lock.fileno(), "one", "\x1b[2J")
    (rundir.lock_folder() / f"{lab.id}.at").write_text("\x1b]0;x\x07")
    assert "\x1b" not in str(claim.maker(lab))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1, "boot_id": ""}'])
def test_a_damaged_lock_has_no_maker(lab: LabDir, text: str) -> None:
    """If a lock's file cannot be read, it names nobody."""
    rundir.claim_file(lab).write_text(text)
    assert claim.maker(lab) is None


def test_a_strangers_pid_is_not_the_maker(lab: LabDir) -> None:
    """A process that has the pid now but started at another time is a stranger."""
    who = {"pid": os.getpid(), "boot_id": process.boot_id(), "start_time": 1, "command": "x"}
    rundir.claim_file(lab).write_text(json.dumps(who))
    assert claim.maker(lab) is None
