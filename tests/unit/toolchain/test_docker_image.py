"""The image of the docker door: the list that it is built from, and how a build reports."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from lab.errors import ToolchainError
from lab.model import ARM64
from lab.packages.lock import Pin
from lab.toolchain import recipe
from lab.toolchain.docker import image_build, toolchain_image
from lab.toolchain.docker.client import not_built
from lab.toolchain.request import ToolchainRequest
from lab.util.deadline import Deadline


def test_packages_are_read_from_apts_own_list() -> None:
    text = (
        "'http://a/pool/libc6_2.41-12%2bdeb13u4_amd64.deb' libc6_2.41-12+deb13u4_amd64.deb 5 "
        "SHA256:aa\n'http://a/pool/make_4.4-2_amd64.deb' make_1%3a4.4-2_amd64.deb 6 SHA256:bb\n"
    )
    assert toolchain_image._pins(text) == {
        "libc6": {"version": "2.41-12+deb13u4", "arch": "amd64", "sha256": "aa", "size": 5},
        "make": {"version": "1:4.4-2", "arch": "amd64", "sha256": "bb", "size": 6},
    }


def test_the_image_is_built_from_the_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list that is copied into the image is that of the rootfs door, one name a line, with
    the lock."""
    monkeypatch.setattr("lab.util.debian.archive_of_this_machine", lambda: None)
    wanted = ToolchainRequest(
        (Pin("make", "4.4-2", "amd64", "a" * 64, 6, "x"),), "20250101T000000Z"
    )
    with tarfile.open(fileobj=image_build._context(wanted)) as archive:
        found = {one.name: archive.extractfile(one) for one in archive}
        text = {name: io.TextIOWrapper(file).read() for name, file in found.items() if file}
    assert tuple(text["packages"].split()) == recipe.package_list()
    assert text["pinned"] == "make=4.4-2\n"
    assert text["snapshot"] == "20250101T000000Z"
    assert text["pinned"] == "make=4.4-2\n"
    assert text["snapshot"] == "20250101T000000Z"
    assert text["sources"] == ""
    assert "COPY packages" in text["Dockerfile"]
    assert not {"root", "tmp", "run"} & set(text["pruned"].split())


def test_each_architecture_has_an_image_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.util.debian.archive_of_this_machine", lambda: None)
    wanted = ToolchainRequest(arch=ARM64)
    assert toolchain_image.image_key(wanted) != toolchain_image.image_key()
    with tarfile.open(fileobj=image_build._context(wanted)) as archive:
        packages = archive.extractfile("packages")
        assert packages
        assert tuple(packages.read().decode().split()) == recipe.package_list(ARM64)


def test_a_failed_step_shows_its_last_lines() -> None:
    told: list[str] = []
    events: list[dict[str, Any]] = [
        {"stream": "Step 1/2 : FROM x\n"}, {"stream": " ---> 123\n"},
        {"stream": "Step 2/2 : RUN a && b\n"}, {"stream": "\x1b[91mE: No space left on device\n"},
        {"error": "The command returned", "errorDetail": {"code": 100}},
    ]  # fmt: skip
    with pytest.raises(ToolchainError) as error:
        image_build._follow(iter(events), Deadline(10), told.append)
    assert told == ["docker: step 1 of 2: FROM x", "docker: step 2 of 2: RUN a && b"]
    assert error.value.command == "RUN a && b"
    assert error.value.tail.split("\n") == ["E: No space left on device", "exit status 100"]
    assert "engine's disk is full" in error.value.hint


def test_words_of_apt_have_their_hint_too() -> None:
    assert "archive is out of reach" in not_built("RUN", ["E: Failed to fetch x"]).hint
