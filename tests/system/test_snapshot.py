"""apt's own snapshots, through the real apt of the toolchain: an archive that has moved on."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.errors import LockError
from lab.packages import pinned
from lab.packages.apt import Apt
from lab.packages.archive import Question, expected
from lab.packages.lock import Drift, Pin
from lab.packages.pinned import Rules
from system.world import toolchain

pytestmark = pytest.mark.system

MOMENT = "20250102T030405Z"
QUESTION = Question("sid", "armhf", ("clock",))
OLD, NEW = "clock_1.0_armhf.deb", "clock_2.0_armhf.deb"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive on this machine: it has 2.0 now, and had 1.0. It is not signed, so apt is told
    to trust it."""
    top = tmp_path / "served"
    handler = functools.partial(Quiet, directory=str(top))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        publish(top / "now", NEW, "2.0", address)
        publish(top / "then" / MOMENT, OLD, "1.0", address)
        source = f"deb [arch=armhf trusted=yes] {address}/now sid main\n"
        monkeypatch.setattr(Apt, "_sources", lambda _: source)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield top
        server.shutdown()
        thread.join()


def publish(root: Path, file: str, version: str, address: str) -> None:
    """A suite with one package. It says where its snapshots are, as Debian's does."""
    (root / "pool").mkdir(parents=True)
    (root / "pool" / file).write_bytes(content(version))
    index = (
        f"Package: clock\nVersion: {version}\nArchitecture: armhf\nMaintainer: x <x@x.test>\n"
        f"Filename: pool/{file}\nSize: {len(content(version))}\n"
        f"SHA256: {hashlib.sha256(content(version)).hexdigest()}\nDescription: x\n"
    ).encode()
    folder = root / "dists/sid/main/binary-armhf"
    folder.mkdir(parents=True)
    (folder / "Packages").write_bytes(index)
    (root / "dists/sid/Release").write_text(
        "Origin: Test\nLabel: Test\nSuite: sid\nCodename: sid\nArchitectures: armhf\n"
        "Components: main\nDate: Thu, 02 Jan 2025 03:04:05 UTC\n"
        f"Snapshots: {address}/then/@SNAPSHOTID@/\nSHA256:\n"
        f" {hashlib.sha256(index).hexdigest()} {len(index)} main/binary-armhf/Packages\n"
    )


def content(version: str) -> bytes:
    return f"clock {version}".encode()


def pin(version: str, file: str) -> Pin:
    data = content(version)
    return Pin("clock", version, "armhf", hashlib.sha256(data).hexdigest(), len(data), file)


def settle(cache: Path, rules: Rules) -> pinned.Settled:
    locked = [pin("1.0", OLD)]
    return pinned.settle(toolchain("rootfs"), cache, QUESTION, locked, rules)


def test_a_replaced_version_comes_from_the_snapshot(archive: Path, tmp_path: Path) -> None:
    """The locked bytes are used, without drift. After that no archive is asked."""
    found = settle(tmp_path, Rules(MOMENT, strict=True))
    assert found.drift == ()
    (package,) = expected(tmp_path, found.resolution)
    assert package.path.read_bytes() == content("1.0")
    for path in archive.rglob("*"):
        path.unlink() if path.is_file() else None
    assert settle(tmp_path, Rules(MOMENT, strict=True)) == found


def test_without_an_answer_the_newest_is_taken(archive: Path, tmp_path: Path) -> None:
    """A line says so. If drift is forbidden, it is an error that names the package."""
    (archive / "then" / MOMENT).rename(archive / "gone")
    with pytest.raises(LockError, match=r"clock \(armhf\): 1\.0 → 2\.0"):
        settle(tmp_path, Rules(MOMENT, strict=True))
    found = settle(tmp_path, Rules(MOMENT))
    assert found.drift == (Drift("clock", "armhf", "1.0", "2.0"),)
    (package,) = expected(tmp_path, found.resolution)
    assert package.path.read_bytes() == content("2.0")


def test_a_snapshot_with_other_bytes_is_not_used(archive: Path, tmp_path: Path) -> None:
    """The lock's hash decides, whoever serves the file."""
    then = archive / "then" / MOMENT / "pool" / OLD
    then.write_bytes(b"clock 1.x")
    assert settle(tmp_path, Rules(MOMENT)).drift
