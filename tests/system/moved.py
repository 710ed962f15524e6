"""A Debian archive on this machine, for tests that need an archive which moves on.

It has real packages and a real index, signed with its own key, and is served on the loopback
address. ``machine()`` runs a command on a machine whose apt is set up with this archive and whose
keyring of Debian's archives holds this key. So the command meets it as it would meet a mirror.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import brought

from lab.packages.lock import Pin
from lab.toolchain import provide
from lab.util import process
from system.world import Said, World

KEYRING = provide.KEYRING


@dataclass(frozen=True)
class Listed:
    """A package of a suite. ``pin.file`` is what apt calls its file; ``deb``: none, if gone."""

    suite: str
    pin: Pin
    deb: Path | None
    needs: tuple[str, ...] = ()
    essential: bool = False

    def stanza(self) -> str:
        """The part of the index about this package (deb822(5))."""
        pin = self.pin
        lines = [
            f"Package: {pin.name}", f"Version: {pin.version}", f"Architecture: {pin.arch}",
            "Maintainer: nobody <nobody@localhost>", "Description: of a test",
            f"Filename: pool/{self.place}", f"Size: {pin.size}", f"SHA256: {pin.sha256}",
        ]  # fmt: skip
        lines += [f"Depends: {', '.join(self.needs)}"] if self.needs else []
        lines += ["Essential: yes"] if self.essential else []
        return "\n".join(lines) + "\n"

    @property
    def place(self) -> str:
        """The name of its file in the pool: without the version's epoch, as in Debian's."""
        return f"{self.pin.name}_{self.pin.version.rpartition(':')[2]}_{self.pin.arch}.deb"


class Archive:
    """The archive in ``folder``, while the block runs.

    ``asked``: the files that were requested. ``broken``: how many more times a connection for a
    file is closed without an answer.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.broken: dict[str, int] = {}
        self._root = folder / "served"
        self._keys = folder / "keys"
        (self._root / "pool").mkdir(parents=True)
        self._keys.mkdir(mode=0o700)
        self._gpg("--quick-generate-key", "test@localhost", "ed25519", "sign", "never")
        self._gpg("--output", str(self._keys / "keyring.gpg"), "--export")

    def __enter__(self) -> Archive:
        handler = functools.partial(_Handler, self, directory=str(self._root))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def has(self, *listed: Listed) -> None:
        """From now on the archive has exactly these packages. Nobody has requested anything yet."""
        self.broken.clear()
        shutil.rmtree(self._root)
        (self._root / "pool").mkdir(parents=True)
        for one in listed:
            if one.deb:
                (self._root / "pool" / one.place).symlink_to(one.deb)
        for suite in {one.suite for one in listed}:
            self._publish(suite, [one for one in listed if one.suite == suite])
        self.asked.clear()

    def fetched(self) -> list[str]:
        """The package files that were requested."""
        return [path.rpartition("/")[2] for path in self.asked if path.endswith(".deb")]

    @property
    def keyring(self) -> Path:
        """The keyring with the archive's key."""
        return self._keys / "keyring.gpg"

    def machine(self) -> tuple[str, ...]:
        """A command prefix that runs a program on a machine which has this archive."""
        etc = self.folder / "etc-apt"
        shutil.rmtree(etc, ignore_errors=True)
        (etc / "trusted.gpg.d").mkdir(parents=True)
        shutil.copy(self.keyring, etc / "trusted.gpg.d/test.gpg")
        address = f"http://127.0.0.1:{self._server.server_port}"
        (etc / "sources.list").write_text(f"deb {address} {codename()} main\n")
        line = ["bwrap", "--dev-bind", "/", "/", "--bind", str(etc), "/etc/apt"]
        keyring = Path(KEYRING).resolve()
        return (*line, "--bind", str(self.keyring), str(keyring), "--")

    def environment(self, cache: Path) -> dict[str, str]:
        """The environment of a command on that machine: there is no proxy before the archive."""
        return {"LAB_CACHE": str(cache), "LAB_DOOR": "rootfs", "no_proxy": "127.0.0.1"}

    def _publish(self, suite: str, listed: list[Listed]) -> None:
        folder = self._root / "dists" / suite
        archs = sorted({one.pin.arch for one in listed} - {"all"})
        sums = ""
        for arch in archs:
            text = "\n".join(one.stanza() for one in listed if one.pin.arch in (arch, "all"))
            path = folder / f"main/binary-{arch}/Packages"
            path.parent.mkdir(parents=True)
            path.write_text(text)
            digest = hashlib.sha256(text.encode()).hexdigest()
            sums += f" {digest} {len(text.encode())} main/binary-{arch}/Packages\n"
        (folder / "Release").write_text(
            f"Origin: Debian\nLabel: Debian\nSuite: {suite}\nCodename: {suite}\n"
            f"Date: {formatdate(usegmt=True).replace('GMT', 'UTC')}\n"
            f"Architectures: {' '.join(archs)}\nComponents: main\nSHA256:\n{sums}"
        )
        self._gpg("--output", str(self._keys / "InRelease"), "--clearsign",
                  str(shutil.copy(folder / "Release", self._keys)))  # fmt: skip
        shutil.move(self._keys / "InRelease", folder / "InRelease")

    def _gpg(self, *words: str) -> None:
        """gpg: the one of this machine, or one from a package. What it starts ends with it."""
        line = ["gpg", "--homedir", str(self._keys), "--batch", "--yes", "--quiet",
                "--pinentry-mode", "loopback", "--passphrase", "", *words]  # fmt: skip
        if shutil.which("gpg"):
            alone = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--as-pid-1",
                     "--proc", "/proc"]  # fmt: skip
            done = process.run([*alone, "--", *line], timeout=60)
        else:
            done = brought.run(brought.GPG, line, self._keys, env={})
        assert done.returncode == 0, done.stderr.decode()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, archive: Archive, *arguments: object, **more: object) -> None:
        self._archive = archive
        super().__init__(*arguments, **more)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self._archive.asked.append(self.path)
        if self._archive.broken.get(name, 0) > 0:
            self._archive.broken[name] -= 1
            self.close_connection = True
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


def codename() -> str:
    """The Debian release of this machine."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("VERSION_CODENAME="))


def packed(folder: Path, name: str, version: str, arch: str, contents: Mapping[str, str]) -> Path:
    """A package file with these files."""
    work = folder / f"{name}_{version}"
    for path, text in contents.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    (work / "DEBIAN").mkdir(parents=True)
    (work / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\n"
        "Maintainer: nobody <nobody@localhost>\nDescription: of a test\n"
    )
    return _built(work, folder / f"{name}_{version}_{arch}.deb")


def newer(one: Listed, folder: Path, changed: tuple[str, bytes, bytes] | None = None) -> Listed:
    """The next version of a package, with the same files. ``changed``: bytes of one file that
    are replaced."""
    assert one.deb
    work = folder / f"{one.pin.name}-newer"
    subprocess.run(["dpkg-deb", "--raw-extract", one.deb, work], check=True)
    version = f"{one.pin.version}+test1"
    control = work / "DEBIAN/control"
    control.write_text(
        control.read_text().replace(f"Version: {one.pin.version}\n", f"Version: {version}\n")
    )
    if changed:
        path, before, after = work / changed[0], *changed[1:]
        data = path.read_bytes()
        assert before in data
        path.write_bytes(data.replace(before, after))
    deb = _built(work, folder / f"{one.pin.name}-newer.deb")
    return replace(one, pin=pin_of(deb, one.pin.name, version, one.pin.arch), deb=deb)


def toolchain(made: Path, folder: Path, keyring: Path) -> None:
    """A copy of a tree of the cache, in a ``folder`` of its own, with another keyring of Debian.

    It has no list of its files yet, so the first command that uses it takes it as it is.
    """
    shutil.copytree(made, folder / "tree", symlinks=True, copy_function=_link_or_copy)
    shutil.copy(made.parent / "manifest.json", folder)
    inside = folder / "tree" / KEYRING.lstrip("/")
    target = inside.resolve()
    target.unlink()
    shutil.copy(keyring, target)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # on another disk
        shutil.copy2(source, target, follow_symlinks=False)


def pin_of(deb: Path, name: str, version: str, arch: str) -> Pin:
    """The lock's entry for a package file."""
    data = deb.read_bytes()
    file = f"{name}_{version.replace(':', '%3a')}_{arch}.deb"
    return Pin(name, version, arch, hashlib.sha256(data).hexdigest(), len(data), file)


def _built(work: Path, deb: Path) -> Path:
    line = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(work), str(deb)]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(work)
    return deb


@dataclass
class Machine:
    """A lab with its toolchain whose dom0 comes from the archive. ``old`` is what is locked."""

    world: World
    folder: Path
    archive: Archive
    old: list[Listed]

    def build(self, *words: str, status: int = 0) -> Said:
        """Run ``image.build`` after the archive's packages and all decisions were forgotten."""
        cache = self.folder / "cache"
        for name in ("apt", "packages"):
            shutil.rmtree(cache / name, ignore_errors=True)
        before = self.archive.machine()
        env = self.archive.environment(cache)
        return self.world.run(
            "image.build", *words, cwd=self.folder, env=env, before=before, status=status
        )

    def move(self, name: str, changed: tuple[str, bytes, bytes] | None = None) -> None:
        """Give the archive a newer version of a package, and remove the old one."""
        one = next(one for one in self.old if one.pin.name == name)
        others = [other for other in self.old if other is not one]
        self.archive.has(*others, newer(one, self.folder, changed))
