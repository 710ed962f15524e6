"""What the system tests share: a place for labs, the command line as a user types it, and checks
for leftovers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab import rundir
from lab.api import Context
from lab.model import Toolchain
from lab.util import process

ROOT = Path(__file__).resolve().parents[2]
#: No command of these tests takes longer, in seconds, on the slowest machine.
LONGEST = 420.0
#: A network of its own, with nothing in it. An ordinary user needs a user namespace for it.
ALONE = ("unshare", "-n") if os.geteuid() == 0 else ("unshare", "-rn")


@dataclass(frozen=True)
class Said:
    """The output of a command, and its exit status."""

    status: int
    out: str
    err: str

    def expect(self, status: int) -> Said:
        """Returns itself if the command ended as designed. A traceback is always wrong."""
        words = f"status {self.status}, not {status}\n--- out\n{self.out}\n--- err\n{self.err}"
        assert "Traceback" not in self.out + self.err, words
        assert self.status == status, words
        return self


class Running:
    """A command that was started. Its standard error is read as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._stream, process.stderr = process.stderr, None  # communicate() leaves it to us
        self._err: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def when(self, words: str) -> Running:
        """Returns itself as soon as a line on standard error begins with this text."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self._said(words), LONGEST)
            assert self._said(words), f"never said {words!r}:\n{''.join(self._err)}"
        return self

    def signal(self, number: signal.Signals) -> Running:
        self.process.send_signal(number)
        return self

    def end(self) -> Said:
        """Wait for its end, which must come. If it does not, say where it hangs."""
        try:
            out = self.process.communicate(timeout=LONGEST)[0]
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # Python then prints what its threads do
            self._reader.join(10)
            words = f"{self.process.args!r} does not end:\n{''.join(self._err)}"
            raise AssertionError(words) from None
        finally:
            self.process.kill()
        self._reader.join(10)
        return Said(self.process.returncode, out, "".join(self._err))

    def _said(self, words: str) -> bool:
        return any(line.strip().startswith(words) for line in self._err)

    def _read(self) -> None:
        assert self._stream
        for line in self._stream:
            with self._news:
                self._err.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


@dataclass
class World:
    """A place for labs. ``kept``: the ids of labs that fixtures keep running."""

    folder: Path
    runtime: Path
    cache: Path
    kept: set[str] = field(default_factory=set)

    def start(
        self, *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None,
        before: tuple[str, ...] = (), stdin: int = subprocess.DEVNULL,
    ) -> Running:  # fmt: skip
        """Start a command of the command line."""
        argv = [*before, sys.executable, "-m", "lab", *words]
        return Running(
            subprocess.Popen(
                argv,
                cwd=cwd or self.folder,
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **(env or {})},
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )

    def run(
        self, *words: str, status: int = 0, cwd: Path | None = None,
        env: Mapping[str, str] | None = None, before: tuple[str, ...] = (),
    ) -> Said:  # fmt: skip
        """Run a command of the command line, which must end with this status."""
        return self.start(*words, cwd=cwd, env=env, before=before).end().expect(status)

    # ------------------------------------------------------------ what is left

    def labs(self) -> set[str]:
        """The ids of the existing labs."""
        root = self.runtime / "xenlab"
        found = {path.name for path in root.iterdir()} if root.is_dir() else set()
        return found - {"locks"}

    def machines(self) -> dict[int, str]:
        """The sandboxes of machines, by pid, with the ids of their labs."""
        mark = f"{self.runtime}/xenlab/"
        return {
            pid: word.removeprefix(mark).partition("/")[0]
            for pid, words in processes()
            for word in words
            if word.startswith(mark)
        }

    def strays(self) -> list[int]:
        """The machines of labs that no fixture keeps."""
        return [pid for pid, lab in self.machines().items() if lab not in self.kept]

    def left(self) -> list[str]:
        """What is there and should not be, in words."""
        found = [f"lab folder {name}" for name in sorted(self.labs() - self.kept)]
        found += [f"process {pid}" for pid in self.strays()]
        ids = {path.name for path in (self.runtime / "xenlab" / "locks").glob("*")}
        rams = (self.cache / "ram").glob("*")
        found += [f"memory {path}" for path in rams if path.name in ids - self.kept]
        mounts = Path("/proc/self/mountinfo").read_text()
        found += [f"mount of {path}" for path in (self.runtime, self.cache) if str(path) in mounts]
        return found

    def kill_strays(self) -> None:
        """Kill them. A machine has two processes, and one may end with the other."""
        for pid in self.strays():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def clear(self) -> None:
        """End what a failed test left, by pid; the next command does the rest."""
        self.kill_strays()
        until("the machines are gone", lambda: not self.strays())
        self.run("lab.status")

    def says(self, lab: str, guest: str, words: str) -> None:
        """Wait until a guest has said this, since its lab began; `lab.up` does not wait for it."""
        log = self.folder / "runs" / lab / "latest" / "console" / f"{guest}.log"
        until(f"{guest} says {words}", lambda: words in log.read_text(errors="replace"), 60)

    def id_of(self, name: str) -> str:
        """The id of a lab of this world, as every command computes it."""
        return rundir.lab_dir(self.folder / "runs", name).id

    def id_of_run(self, name: str) -> str:
        """The id of the first run of a lab that is under way; :mod:`lab.api.lives` says why it is
        another."""
        return self.id_of(f"{name} 2")


def toolchain(door: str) -> Toolchain:
    """The toolchain that ``labs.lock`` pins, through a door; the tests make no other."""
    return Context(ROOT / "labs.yaml", door).workshop().toolchain


def processes() -> Iterator[tuple[int, list[str]]]:
    """Every process, with the words of its command line."""
    for pid, argv in process.running():
        yield pid, [word.decode(errors="replace") for word in argv]


def until(what: str, true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that has no event, by looking often. Fails if it does not come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"after {seconds:g} s it is not so that {what}"
        time.sleep(0.02)
