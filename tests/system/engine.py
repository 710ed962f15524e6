"""A Docker engine for the system tests: the one that runs on this machine, or one started here."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.errors import ToolchainError
from lab.rundir import runtime_root
from lab.toolchain import provide
from lab.toolchain.docker import sweep
from lab.toolchain.docker.engine import Engine, address
from lab.util import files, process
from system.world import until

#: Labs have no network and builds use the host's: this engine needs none of its own.
_ALONE = ("--iptables=false", "--bridge=none", "--group=root")


class OwnEngine:
    """A dockerd that is started here and keeps all its files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.where = f"unix://{folder}/sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. On a busy machine dockerd may give up on its
        containerd after 15 s and end. A service manager would start it again; so does this
        method, twice."""
        for _ in range(3):
            self._start()
            if not self._ended():
                return
        log_text = (self.folder / "log").read_text(errors="replace")
        raise AssertionError(f"dockerd does not start here:\n{log_text[-2000:]}")

    def _start(self) -> None:
        places = [
            f"--{name}={self.folder / name}" for name in ("data-root", "exec-root", "pidfile")
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dockerd", "-H", self.where, *places, *_ALONE],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until("the engine answers", lambda: self._ended() or Engine(self.where).answers(), 60)

    def stop(self, *, hard: bool = False) -> None:
        """End it as an administrator does, or as a crash would."""
        if self._process:
            self._process.kill() if hard else self._process.terminate()
            self._process.wait(60)
            self._wait_for_containerd()

    def _wait_for_containerd(self) -> None:
        """Wait for the end of its containerd, which dies a moment later. Until then the next
        engine would use it."""
        file = self.folder / "exec-root" / "containerd" / "containerd.pid"
        with contextlib.suppress(OSError, ValueError):
            pid = int(file.read_text())
            until("containerd has ended", lambda: process.start_time(pid) is None, 60)

    def remove(self) -> None:
        """End it and remove all its files."""
        self.stop()
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        below = [
            words[1] for line in mounts if (words := line.split())[1].startswith(str(self.folder))
        ]
        for path in sorted(below, reverse=True):
            subprocess.run(["umount", path], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None


@contextlib.contextmanager
def engine() -> Iterator[OwnEngine | None]:
    """Point ``$DOCKER_HOST`` at an engine. Yields the engine if it was started here.

    If no engine runs and none may be installed and started, the test is skipped.
    """
    if Engine(address()).answers():
        yield None
        return
    if os.geteuid() != 0:
        pytest.skip("no Docker engine answers, and only root may start one")
    try:
        provide.ensure({"dockerd": "docker.io"}, lambda _: None)
    except ToolchainError as error:
        pytest.skip(f"no Docker engine answers, and none can be had: {error.message}")
    own = OwnEngine(Path(tempfile.mkdtemp(prefix="xl-dockerd-", dir="/var/tmp")))
    before = os.environ.get("DOCKER_HOST")
    try:
        own.start()
        os.environ["DOCKER_HOST"] = own.where
        yield own
    finally:
        if before is None:
            os.environ.pop("DOCKER_HOST", None)
        else:
            os.environ["DOCKER_HOST"] = before
        own.remove()


def containers() -> list[dict[str, Any]]:
    """The containers of these tests, dead or alive: of labs in their runtime folder, of this
    process, and of dead commands. A developer's own labs do not count."""
    home, me = str(runtime_root()), sweep.maker()
    found = sweep.containers(Engine(address()), {sweep.MAKER: None})
    return [one for one in found if _is_of_tests(one["Labels"], home, me)]


def _is_of_tests(labels: dict[str, str], home: str, me: str) -> bool:
    if sweep.LAB in labels:
        return labels[sweep.HOME] == home
    maker = labels[sweep.MAKER]
    return maker == me or sweep.is_dead(maker)


def check_confinement(look: dict[str, Any]) -> None:
    """Check that a lab's container can do only what its program needs."""
    host = look["HostConfig"]
    assert [one["Name"] for one in host["Ulimits"]] == ["fsize"]
    assert look["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"
    assert (host["Privileged"], host["CapDrop"], host["CapAdd"]) == (False, ["ALL"], None)
    assert (host["NetworkMode"], host["ReadonlyRootfs"]) == ("none", True)
    assert "no-new-privileges" in host["SecurityOpt"]
    status = Path(f"/proc/{look['State']['Pid']}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert int(fields["SigIgn"], 16) >> signal.SIGXFSZ - 1 & 1, "a full file would end it"
    # The engine's filter, and QEMU's own (-sandbox on).
    assert int(fields.get("Seccomp_filters", "2")) >= 2


def stored(cache: Path) -> dict[str, str]:
    """Every file of a store, by kind, key and name, with its hash."""
    return files.tree_hashes(cache / "store", skip=frozenset({"locks"}))
