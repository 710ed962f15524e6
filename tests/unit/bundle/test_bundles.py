"""What a bundle holds comes back, byte for byte; nothing else does."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from bundle.conftest import ANSWER, TREE, Save, fill
from lab.bundle import file, loading
from lab.bundle.file import opened
from lab.bundle.loading import Loaded
from lab.errors import BundleError
from lab.progress import Progress
from lab.store import Store, intact
from lab.toolchain import listing, tree_cache

QUIET = Progress(quiet=True)


def load(bundle: Path, cache: Path, sha256: str = "") -> Loaded:
    cache.mkdir(exist_ok=True)
    with opened(bundle, sha256) as found:
        return loading.load(found, cache, QUIET)


def everything(folder: Path) -> dict[str, object]:
    """All that is below a folder, but for claims and what a command that was killed leaves."""
    return {
        str(path.relative_to(folder)): path.is_file() and path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if not path.name.endswith("lock") and loading.NEW not in str(path)
    }


def test_a_cache_is_filled(tmp_path: Path, bundle: Path) -> None:
    """The toolchain is known to be a part, is checked on use, and its files have their modes."""
    found = load(bundle, tmp_path / "to")
    assert len(found.new) == 3
    tree = tree_cache.read(tmp_path / "to/toolchain" / TREE)
    assert tree
    assert tree.partial
    assert listing.looks_the_same(tree.path, whole=True)
    assert listing.differences(tree.path) == []
    assert os.access(tree.path / "bin/qemu", os.X_OK)
    assert not (tree.path / "usr/include").exists()
    (entry,) = Store(tmp_path / "to").entries()
    assert intact(entry)
    assert (tmp_path / "to" / ANSWER).read_text() == "{}"
    again = load(bundle, tmp_path / "to")
    assert again.new == ()
    assert set(again.there) == set(found.new)


def test_a_part_of_a_toolchain_becomes_whole(tmp_path: Path, bundle: Path, save: Save) -> None:
    """A whole one never becomes a part."""
    save(tmp_path / "whole.bundle", tmp_path / "from", whole=True)
    load(bundle, tmp_path / "to")
    assert load(tmp_path / "whole.bundle", tmp_path / "to").new == (f"toolchain/{TREE}",)
    assert (tmp_path / "to/toolchain" / TREE / "tree/usr/include/a.h").exists()
    assert load(bundle, tmp_path / "to").new == ()


def test_the_same_entries_give_the_same_bytes(tmp_path: Path, bundle: Path, save: Save) -> None:
    """Other times, another order, other permissions, another archive: the same bundle."""
    other = tmp_path / "other"
    fill(other)
    for path in other.rglob("*.bin"):
        path.chmod(0o600)
        os.utime(path, (1, 1))
    manifest = other / "toolchain" / TREE / "manifest.json"
    manifest.write_text(manifest.read_text().replace("an archive", "another").replace("1", "2"))
    save(tmp_path / "b.bundle", other)
    assert (tmp_path / "b.bundle").read_bytes() == bundle.read_bytes()
    load(bundle, tmp_path / "to")
    save(tmp_path / "c.bundle", tmp_path / "to")
    assert (tmp_path / "c.bundle").read_bytes() == bundle.read_bytes()


def test_its_list_comes_first(bundle: Path) -> None:
    """tar can read it, without this program."""
    with tarfile.open(bundle) as tar:
        names = tar.getnames()
    assert names[:2] == ["contents.json", "contents.sha256"]
    with opened(bundle) as found:
        assert names[2:] == [one.name for one in found.contents.members]


def test_the_digest_that_was_given(tmp_path: Path, bundle: Path) -> None:
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    with pytest.raises(BundleError, match=f"has sha256 {digest}, not 00"):
        load(bundle, tmp_path / "to", "00")
    assert load(bundle, tmp_path / "to", digest.upper()).new


def test_a_toolchain_that_was_altered_is_mended(tmp_path: Path, bundle: Path) -> None:
    """It was set aside, and comes back."""
    load(bundle, tmp_path / "to")
    folder = tmp_path / "to/toolchain" / TREE
    (folder / "manifest.json").rename(folder / "altered.json")
    (folder / "tree/usr/bin/qemu").write_text("other")
    assert load(bundle, tmp_path / "to").new == (f"toolchain/{TREE}",)
    assert listing.differences(folder / "tree") == []


@pytest.mark.parametrize("part", range(1, 12))
def test_a_bundle_that_is_cut_off(tmp_path: Path, bundle: Path, part: int) -> None:
    """Wherever: it is refused in words, and nothing has changed."""
    with opened(bundle) as found:
        last = found.contents.members[-1]
        end = found.starts[last.name] + last.size
    bundle.write_bytes(bundle.read_bytes()[: end * part // 12])
    with pytest.raises(BundleError, match=r"is refused: it is (cut off|not a bundle)"):
        load(bundle, tmp_path / "to")
    assert everything(tmp_path / "to") == {}


def test_files_that_are_no_bundle(tmp_path: Path) -> None:
    """Noise, nothing, another tar, a folder, a FIFO, nothing at all."""
    (tmp_path / "noise").write_bytes(os.urandom(5000))
    (tmp_path / "empty").touch()
    with tarfile.open(tmp_path / "tar", "w") as tar:
        tar.add(tmp_path / "noise")
    os.mkfifo(tmp_path / "fifo")
    for name in ("noise", "empty", "tar", "fifo", ".", "missing"):
        with pytest.raises(BundleError, match=r"is refused|cannot be read"):
            load(tmp_path / name, tmp_path / "to")


def test_too_little_disk(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = os.statvfs_result((4096, 4096, 10, 10, 10, 10, 10, 10, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: small)
    with pytest.raises(BundleError, match="too little disk for the bundle"):
        load(bundle, tmp_path / "to")
    assert everything(tmp_path / "to") == {}


def test_two_that_load_at_once(tmp_path: Path, bundle: Path) -> None:
    """One waits for the other and finds everything there."""
    found: list[Loaded] = []
    loaders = [
        threading.Thread(target=lambda: found.append(load(bundle, tmp_path / "to")))
        for _ in range(4)
    ]
    for one in loaders:
        one.start()
    for one in loaders:
        one.join()
    assert sorted(len(one.new) for one in found) == [0, 0, 0, 3]


_KILLED = """
import os, sys
from pathlib import Path
from lab.bundle import loading
from lab.bundle.file import opened
from lab.progress import Progress
left = int(sys.argv[3])
EVENTS = ("open", "os.rename", "os.mkdir", "os.symlink", "os.remove")
def count(event, arguments):
    global left
    if event in EVENTS and sys.argv[2] in str(arguments[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
with opened(Path(sys.argv[1])) as found:
    sys.addaudithook(count)
    loading.load(found, Path(sys.argv[2]), Progress(quiet=True))
"""


def test_killed_while_loading(tmp_path: Path, bundle: Path) -> None:
    """Before each thing that it does to the cache. What is there is whole, and the next load
    completes it."""
    load(bundle, tmp_path / "good")
    whole, killed = everything(tmp_path / "good"), 0
    for after in range(1, 200):
        cache = tmp_path / "to"
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir()
        line = [sys.executable, "-c", _KILLED, str(bundle), str(cache), str(after)]
        if subprocess.run(line, check=False).returncode != -signal.SIGKILL:
            break
        killed += 1
        for place in (*cache.glob("toolchain/[a-f]*"), *cache.glob("store/guest/[0-9a-f]*")):
            assert (place / "manifest.json").exists()
        load(bundle, cache)
        left = everything(cache)
        assert {path: left[path] for path in whole if not path.endswith("looked")} == {
            path: data for path, data in whole.items() if not path.endswith("looked")
        }
        assert not list(cache.rglob(f"{loading.NEW}*"))
    assert killed >= 10


def test_a_bundle_is_written_whole_or_not_at_all(
    tmp_path: Path, bundle: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was there stays."""
    before = bundle.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file, "_add", full)
    with pytest.raises(OSError, match="No space"):
        save(bundle, tmp_path / "from")
    assert bundle.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bundle", "from"]
