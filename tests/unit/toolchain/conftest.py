"""Fakes for these tests: real executables on PATH that record how they were called."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toolchain.engines import FakeEngine

_FAKE = """#!{python}
import json, os, sys
with open({record!r}, "a") as stream:
    print(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]), file=stream)
{body}
"""


#: mmdebstrap, which reads the index of an archive.
_MMDEBSTRAP = """
import pathlib
top = pathlib.Path(next(a for a in sys.argv if a.endswith("/index")))
for name in ("var/lib/apt/lists", "etc/apt"):
    (top / name).mkdir(parents=True)
(top / "etc/apt/sources.list").write_text("deb http://a.test")
"""
#: apt on that index: it has these versions and no others. What a file holds is its name.
_APT_GET = """
import hashlib, os, pathlib, time
from urllib.parse import unquote
there = dict(unquote(name).split("_")[:2] for name in {debs})
for word in sys.argv:
    name, _, version = word.partition("=")
    if version and name in there and version != there[name]:
        sys.exit("E: Version '" + version + "' for '" + name + "' was not found")
if "--download-only" in sys.argv:
    time.sleep({seconds})
    archives = pathlib.Path(os.environ["APT_CONFIG"]).parent / "var/cache/apt/archives"
    for name in {debs}:
        (archives / name).write_text(name)
    sys.exit(0)
for name in {debs}:
    sha = hashlib.sha256(name.encode()).hexdigest()
    print("'http://a.test/" + name + "' " + name + " " + str(len(name)) + " SHA256:" + sha)
"""
#: tar, which finds the same files in every package.
_TAR = """
import pathlib
sys.stdin.read()
top = pathlib.Path(next(a for a in sys.argv if a.startswith("--directory="))[12:])
for name in ("usr/bin", "usr/share/man/man1", "usr/lib/gcc/arm-none-eabi/14/thumb/v8-m.main",
             "usr/lib/gcc/arm-none-eabi/14/thumb/v7-a", "etc/ssl/certs",
             "usr/share/ca-certificates/mozilla", "usr/share/base-passwd"):
    (top / name).mkdir(parents=True, exist_ok=True)
for name in ("usr/bin/mawk", "usr/share/man/man1/x.1", "usr/share/base-passwd/passwd.master",
             "usr/share/base-passwd/group.master"):
    (top / name).write_text(name)
"""


class Fakes:
    """``add`` puts a program on PATH; ``calls`` is what was run, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record = folder / ".calls"

    def add(self, name: str, body: str = "") -> None:
        path = self.folder / name
        path.write_text(_FAKE.format(python=sys.executable, record=str(self._record), body=body))
        path.chmod(0o755)

    def archive(self, *debs: str, seconds: float = 0) -> None:
        """Programs that make a tree from an archive with these files. A download takes this many
        seconds."""
        self.add("mmdebstrap", _MMDEBSTRAP)
        self.add("apt-get", _APT_GET.format(debs=debs, seconds=seconds))
        self.add("dpkg-deb", "print('files')")
        self.add("tar", _TAR)

    def fail(self, word: str, statement: str) -> None:
        """Have apt do this when it is called with that word."""
        path = self.folder / "apt-get"
        path.write_text(f"{path.read_text()}".replace(
            "import hashlib", f"if {word!r} in sys.argv:\n    {statement}\nimport hashlib"
        ))  # fmt: skip

    def made(self) -> list[list[str]]:
        """How apt was called to download something."""
        return [call for call in self.calls("apt-get") if "--download-only" in call]

    def calls(self, name: str) -> list[list[str]]:
        if not self._record.exists():
            return []
        lines = [json.loads(line) for line in self._record.read_text().splitlines()]
        return [line[1:] for line in lines if line[0] == name]


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """A PATH with nothing but fakes."""
    folder = tmp_path / "fakes"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return Fakes(folder)


@pytest.fixture
def said() -> tuple[list[str], Callable[[str], None]]:
    """What the user was told, and the function that tells."""
    lines: list[str] = []
    return lines, lines.append


@pytest.fixture
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short private folder, for sockets and as the runtime folder."""
    folder = Path(tempfile.mkdtemp(prefix="xl-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder / "config"))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "LAB_DOOR"):
        monkeypatch.delenv(name, raising=False)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def engine(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    fake = FakeEngine(place / "docker.sock")
    monkeypatch.setenv("DOCKER_HOST", fake.where)
    yield fake
    fake.close()
