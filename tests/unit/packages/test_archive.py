"""Decisions last, cached files need no network, and wrong files are never kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lab.errors import ImageError, ToolchainError
from lab.model import Command, Completed, Toolchain
from lab.packages import apt, archive
from lab.packages.answers import Resolution
from lab.packages.archive import Question
from lab.packages.lock import Pin
from lab.util import debian


class FakeArchive:
    """A toolchain whose apt-get serves ``files``: archive file name → bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.calls: list[list[str]] = []
        self.online: list[bool] = []
        self.broken = ""
        self.stale = False
        self.lacks = ""

    def add(self, file: str, content: bytes = b"content") -> None:
        self.files[file] = content

    def run(self, command: Command) -> Completed:
        argv = command.argv
        assert argv[0] == "apt-get"
        self.calls.append([word for word in argv[1:] if not word.startswith("--")])
        self.online.append(command.network)
        if self.broken and command.network:
            raise ToolchainError("apt-get failed", command="apt-get …", tail=self.broken)
        verb = self.calls[-1][0]
        if verb == "update":
            self.stale = False
        if self.lacks in argv:
            raise ToolchainError("apt-get failed", tail=f"E: Can not find version {self.lacks}")
        if "--print-uris" in argv:
            return Completed(tuple(argv), 0, self._uris().encode(), b"", 0.0)
        if verb in ("download", "source"):
            self._download(command.mounts[-1].source)
        return Completed(tuple(argv), 0, b"", b"", 0.0)

    def _uris(self) -> str:
        return "".join(
            f"'http://a.test/pool/{quote(name)}' {name} {len(data)} SHA256:{_sha(data)}\n"
            for name, data in self.files.items()
        )

    def _download(self, into: Path) -> None:
        if self.stale:
            raise ToolchainError("apt-get failed", tail="E: Failed to fetch  404  Not Found")
        for name, data in self.files.items():
            (into / name).write_bytes(data)

    def verbs(self) -> list[str]:
        return [call[0] for call in self.calls]


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> FakeArchive:
    monkeypatch.setattr(debian, "archive_of_this_machine", lambda: "http://a.test/debian")
    monkeypatch.setattr(debian, "proxies_of_this_machine", lambda: ('Acquire::http::Proxy "p";',))
    made = FakeArchive()
    made.add("xen-utils_4.17-1_armhf.deb", b"xen")
    made.add("busybox_1%3a1.35_armhf.deb", b"busybox")
    made.add("dpkg_1.21_armhf.deb", b"dpkg")
    return made


def ask(
    served: FakeArchive, cache: Path, *, refresh: bool = False, **other: Any
) -> Resolution:  # fmt: skip
    question = Question("bookworm", "armhf", ("xen-utils",), keep=("xen*", "b*"))
    question = replace(question, **other)
    return archive.resolve(_as_toolchain(served), cache, question, refresh=refresh)


def _as_toolchain(served: FakeArchive) -> Toolchain:
    return served  # type: ignore[return-value]


def fetch(served: FakeArchive, cache: Path, resolution: Resolution) -> list[bytes]:
    packages = archive.fetch(_as_toolchain(served), cache, resolution)
    return [package.path.read_bytes() for package in packages]


def test_the_closure_is_filtered_and_sorted(served: FakeArchive, tmp_path: Path) -> None:
    """Only what a pattern keeps. An epoch is part of the version."""
    pins = ask(served, tmp_path).pins
    assert [(pin.name, pin.version, pin.arch) for pin in pins] == [
        ("busybox", "1:1.35", "armhf"),
        ("xen-utils", "4.17-1", "armhf"),
    ]
    assert pins[1].sha256 == _sha(b"xen")


def test_a_resolution_is_asked_for_once(served: FakeArchive, tmp_path: Path) -> None:
    """Until it is refreshed, or the question changes."""
    first = ask(served, tmp_path)
    served.files.clear()
    assert ask(served, tmp_path) == first
    assert served.verbs() == ["update", "install"]
    assert ask(served, tmp_path, refresh=True).pins == ()
    assert ask(served, tmp_path, suite="trixie") != first


def test_with_everything_cached_nothing_is_run(served: FakeArchive, tmp_path: Path) -> None:
    """A lab starts without network."""
    fetch(served, tmp_path, ask(served, tmp_path))
    served.calls.clear()
    assert fetch(served, tmp_path, ask(served, tmp_path)) == [b"busybox", b"xen"]
    assert served.calls == []


def test_a_resolution_may_come_from_elsewhere(served: FakeArchive, tmp_path: Path) -> None:
    """A lock file supplies one: it is written, read back, and fetched by version into an empty
    cache."""
    data = ask(served, tmp_path / "here").to_json()
    served.calls.clear()
    fetch(served, tmp_path / "there", Resolution.from_json(data))
    assert served.calls == [["update"], ["download", "busybox=1:1.35", "xen-utils=4.17-1"]]


def test_only_what_is_missing_is_downloaded(served: FakeArchive, tmp_path: Path) -> None:
    """A damaged file counts as missing, and is replaced."""
    resolution = ask(served, tmp_path)
    packages = archive.fetch(_as_toolchain(served), tmp_path, resolution)
    packages[1].path.write_bytes(b"nex")
    served.calls.clear()
    assert fetch(served, tmp_path, resolution) == [b"busybox", b"xen"]
    assert served.calls == [["download", "xen-utils=4.17-1"]]


def test_a_wrong_hash_names_the_package(served: FakeArchive, tmp_path: Path) -> None:
    """Nothing of it is kept."""
    resolution = ask(served, tmp_path)
    served.add("xen-utils_4.17-1_armhf.deb", b"bad")
    with pytest.raises(ImageError, match=r"xen-utils 4\.17-1 \(armhf\)"):
        fetch(served, tmp_path, resolution)
    kept = [path.name for path in (tmp_path / "packages").rglob("*") if path.is_file()]
    assert kept == ["busybox_1%3a1.35_armhf.deb"]


def test_an_archive_out_of_reach_is_said(served: FakeArchive, tmp_path: Path) -> None:
    """The error has what was wanted, apt's message, and what to do."""
    served.broken = "E: Could not resolve 'a.test'"
    with pytest.raises(ImageError) as caught:
        ask(served, tmp_path)
    assert "bookworm" in caught.value.message
    assert "Could not resolve" in caught.value.tail
    assert "network" in caught.value.hint
    assert not list(tmp_path.rglob("*.json"))


def test_a_reason_that_is_not_apts_is_said() -> None:
    """The toolchain of a bundle that only runs labs has no apt."""
    error = apt._error("the index", ToolchainError("the toolchain has no apt-get", hint="load it"))
    assert error.message == "could not get the index: the toolchain has no apt-get"
    assert error.hint == "load it"


def test_an_index_that_is_too_old_is_fetched_again(served: FakeArchive, tmp_path: Path) -> None:
    """The archive has moved on. One new attempt is enough."""
    resolution = ask(served, tmp_path)
    served.calls.clear()
    served.stale = True
    assert fetch(served, tmp_path, resolution) == [b"busybox", b"xen"]
    assert served.verbs() == ["download", "update", "download"]


def test_a_failed_download_names_the_package(served: FakeArchive, tmp_path: Path) -> None:
    """It does not name the index, which is out of reach too."""
    resolution = ask(served, tmp_path)
    served.broken = "E: Could not connect"
    with pytest.raises(ImageError, match="xen-utils"):
        fetch(served, tmp_path, resolution)


def test_network_is_on_for_downloads_alone(served: FakeArchive, tmp_path: Path) -> None:
    """A decision needs no network."""
    fetch(served, tmp_path, ask(served, tmp_path))
    assert dict(zip(served.verbs(), served.online, strict=True)) == {
        "update": True, "install": False, "download": True,
    }  # fmt: skip


def test_a_source_package_is_all_of_its_files(served: FakeArchive, tmp_path: Path) -> None:
    """The version is the description's; tarballs have the upstream version in their names."""
    served.files.clear()
    served.add("micropython_1.25.0+ds-1.dsc", b"dsc")
    served.add("micropython_1.25.0+ds.orig.tar.xz", b"tar")
    toolchain = _as_toolchain(served)
    packages = archive.source(toolchain, tmp_path, suite="trixie", name="micropython")
    assert {package.version for package in packages} == {"1.25.0+ds-1"}
    assert {package.arch for package in packages} == {"source"}
    assert served.calls[-1] == ["source", "micropython=1.25.0+ds-1"]


def test_apt_is_private(served: FakeArchive, tmp_path: Path) -> None:
    """It has its own sources, for one suite and architecture, signed; and this machine's proxy."""
    ask(served, tmp_path)
    folder = tmp_path / "apt" / "bookworm-armhf"
    assert (folder / "etc/sources.list").read_text() == (
        "deb [arch=armhf signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
        "http://a.test/debian bookworm main\n"
    )
    assert 'Acquire::http::Proxy "p";' in (folder / "apt.conf").read_text()


def test_a_torn_answer_is_asked_again(served: FakeArchive, tmp_path: Path) -> None:
    """A cache is never trusted to be readable."""
    first = ask(served, tmp_path)
    next((tmp_path / "apt/resolutions").glob("*.json")).write_text('{"answer": {"suite"')
    assert ask(served, tmp_path) == first


def test_pins_survive_json() -> None:
    """Exactly."""
    made = Resolution("s", "a", (Pin("n", "1:v", "a", "0" * 64, 3, "n_1%3av_a.deb"),))
    assert Resolution.from_json(made.to_json()) == made


def test_source_package_in_the_version_of_the_binary_ones(
    served: FakeArchive, tmp_path: Path
) -> None:
    """The archive has moved on: the error names both versions, and nothing else is built
    instead."""
    served.files = {"xen_4.18-1.dsc": b"dsc", "xen_4.18.orig.tar.xz": b"tar"}
    served.lacks = "xen=4.17-1"

    def resolve(version: str) -> Resolution:
        question = Question("bookworm", "source", ("xen",), version=version)
        return archive.resolve(_as_toolchain(served), tmp_path, question)

    assert {pin.version for pin in resolve("4.18-1").pins} == {"4.18-1"}
    with pytest.raises(ImageError, match=r"in version 4\.18-1, but 4\.17-1 is needed"):
        resolve("4.17-1")
