"""The promises of docs/security.md, checked on a lab that runs."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.world import World, processes

#: Where QEMU can write: the lab's sockets, logs, traces and memory, and its own temporary
#: folders, which nothing else sees.
WRITABLE = {"/lab/live", "/lab/console", "/lab/trace", "/lab/ram", "/tmp", "/var/tmp"}
#: File systems of the kernel itself, without files of this machine.
KERNEL = {"proc", "devpts", "mqueue"}
#: Where a lab's QEMU may have sockets.
OURS = re.compile(r"/lab/live/(qmp|gdb|agent)\.sock")


@pytest.fixture(scope="module")
def qemu(up: World) -> Path:
    """QEMU's folder in /proc."""
    tag = f"xenlab-{up.id_of('shared')}"
    found = [
        pid
        for pid, words in processes()
        if words[0].endswith("qemu-system-arm") and any(tag in word for word in words)
    ]
    assert len(found) == 1, found
    return Path("/proc", str(found[0]))


def status_of(process: Path) -> dict[str, str]:
    lines = (process / "status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_it_has_no_rights(qemu: Path) -> None:
    """It has no capability in any set, cannot get one, and its system calls are filtered."""
    status = status_of(qemu)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert int(status["Uid"].split()[1]) == os.geteuid()


@pytest.mark.parametrize("kind", ["net", "pid", "mnt", "ipc", "uts", "user"])
def test_it_has_namespaces_of_its_own(qemu: Path, kind: str) -> None:
    """Its network, processes, mounts and host name are not this machine's."""
    if kind == "user" and os.geteuid() == 0:
        pytest.skip("root's capabilities are dropped instead")
    mine, its = (os.stat(path / "ns" / kind).st_ino for path in (Path("/proc/self"), qemu))  # noqa: PTH116
    assert mine != its


def sockets(process: Path) -> Iterator[str]:
    """The inodes of the sockets that a process has open (proc_pid_fd(5))."""
    for path in (process / "fd").iterdir():
        target = os.readlink(path)  # noqa: PTH115
        if target.startswith("socket:"):
            yield target.removeprefix("socket:[").rstrip("]")


def test_nothing_listens_on_a_network(qemu: Path) -> None:
    """All its sockets are unix sockets in the lab's folder. Its network is empty."""
    known: dict[str, str] = {}
    for line in (qemu / "net" / "unix").read_text().splitlines()[1:]:
        words = line.split()
        known[words[6]] = words[7] if len(words) > 7 else ""
    found = list(sockets(qemu))
    assert found
    for inode in found:
        assert inode in known, f"socket {inode} is no unix socket"
        assert not known[inode] or OURS.fullmatch(known[inode]), known[inode]
    for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet"):
        file = qemu / "net" / kind
        if file.exists():
            assert file.read_text().count("\n") == 1, f"{kind}: {file.read_text()}"
    devices = (qemu / "net" / "dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]


def test_it_writes_nowhere_else(qemu: Path) -> None:
    """Every mount except the lab's own is read-only (proc_pid_mountinfo(5))."""
    wrong = []
    for line in (qemu / "mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        target, options, kind = before.split()[4], before.split()[5], after.split()[0]
        writable = "rw" in options.split(",")
        if writable and target not in WRITABLE and kind not in KERNEL and "/dev" not in target:
            wrong.append(line)
    assert not wrong


def test_it_sees_nothing_of_the_users(qemu: Path) -> None:
    """Homes, the project and other labs are not there, whatever their modes."""
    root = qemu / "root"
    top = {path.name for path in root.iterdir()}
    assert not top & {"home", "root", "mnt", "media", "srv", "boot", "sys"}, top
    inside = {path.name for path in (root / "lab").iterdir()}
    of_memory = {"state", "ram"}  # a template's
    assert inside - of_memory == {"images", "live", "console", "trace"}
    assert not any((root / "tmp").iterdir())
    environ = (qemu / "environ").read_bytes().split(b"\0")
    names = {word.partition(b"=")[0].decode() for word in environ if word}
    assert names <= {"PATH", "HOME", "LC_ALL", "TZ", "LAB_TAG", "PWD"}, names


def test_it_inherits_one_descriptor(qemu: Path, up: World) -> None:
    """It has the lab's lock, and no other file that our process had open."""
    (kept,) = up.kept
    lock = up.runtime / "xenlab" / "locks" / kept
    paths = {os.readlink(path) for path in (qemu / "fd").iterdir()}  # noqa: PTH115
    outside = {path for path in paths if path.startswith("/") and not path.startswith("/lab/")}
    outside -= {"/dev/null", "/dev/urandom", "/dev/random"}
    log = {path for path in outside if path.endswith("qemu.log")}
    assert outside - log <= {str(lock)}, outside


def test_nobody_else_gets_at_it(up: World) -> None:
    """Sockets, FIFOs, memory and locks are in folders that only this user can enter."""
    root = up.runtime / "xenlab"
    lab = root / up.id_of("shared")
    ram = up.cache / "ram" / up.id_of("shared")
    memory = [ram.parent] if ram.exists() else [up.cache / "templates"]  # it runs in one of them
    for folder in (root, lab, root / "locks", *memory):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    for path in (root / "locks").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert {"qmp.sock", "gdb.sock", "agent.sock"} <= {path.name for path in lab.iterdir()}
    if ram.exists():
        assert stat.S_IMODE(ram.stat().st_mode) == 0o600


def test_files_have_an_end(qemu: Path) -> None:
    """The kernel bounds every file that QEMU writes (lab.machine.console_quota)."""
    line = next(
        one for one in (qemu / "limits").read_text().splitlines() if one.startswith("Max file size")
    )
    assert re.fullmatch(r"Max file size +(\d+) +\1 +bytes *", line), line


def test_what_is_typed_meets_no_shell(up: World) -> None:
    """`lab.exec` splits words as a shell does, and no shell expands them."""
    said = up.run("lab.exec", "shared", "echo '$(id)' `id` $HOME ; ls > /x * && true")
    assert said.out == "$(id) `id` $HOME ; ls > /x * && true\n"
