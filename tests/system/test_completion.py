"""Completion in real shells: what a person sees after pressing Tab.

zsh and fish are Debian packages of a tree of their own; nothing is installed on this machine.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.packages import archive
from lab.store import cache_root
from lab.util.deadline import Deadline
from system.world import ROOT, toolchain

pytestmark = pytest.mark.system

#: The oldest Debian that the lab runs on: its programs run on all newer ones.
SUITE = "bookworm"
PACKAGES = ("zsh", "zsh-common", "fish", "fish-common", "libpcre2-32-0", "libstdc++6")


@pytest.fixture(scope="module")
def tree() -> Path:
    """The shells, unpacked once into the cache."""
    made = cache_root() / "tests" / f"shells-{SUITE}"
    if not (made / "whole").exists():
        tools = toolchain("rootfs")
        question = archive.Question(SUITE, "amd64", PACKAGES, keep=PACKAGES)
        found = archive.resolve(tools, cache_root(), question)
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for package in archive.fetch(tools, cache_root(), found):
            subprocess.run(["dpkg-deb", "--extract", str(package.path), str(made)], check=True)
        # fish looks for what belongs to it beside itself if both folders are there.
        (made / "usr/etc").symlink_to("../etc")
        (made / "whole").touch()
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout's inv, in a folder with labs."""
    tmp_path = tmp_path_factory.mktemp("completion")
    (tmp_path / "inv").write_text(f'#!/bin/sh\nexec {sys.executable} -m lab "$@"\n')
    (tmp_path / "inv").chmod(0o755)
    (tmp_path / "labs.yaml").write_text("labs: {hello: {description: one guest}, periodic: {}}")
    (tmp_path / "own.yaml").write_text("labs: {mine: {}}")
    for shell in ("bash", "zsh", "fish"):
        script = subprocess.run([str(tmp_path / "inv"), "completion", shell], cwd=tmp_path,
                                stdout=subprocess.PIPE, check=True, text=True).stdout  # fmt: skip
        (tmp_path / f"script.{shell}").write_text(script)
    return tmp_path


class Shell:
    """An interactive shell on its own terminal."""

    def __init__(self, argv: list[str], folder: Path, **env: str) -> None:
        self.master, slave = pty.openpty()
        kept = {name: os.environ[name] for name in ("PATH", "LAB_CACHE") if name in os.environ}
        self.process = subprocess.Popen(
            argv, cwd=folder, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env=kept | {"HOME": str(folder), "TERM": "xterm", "LC_ALL": "C.UTF-8"} | env,
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        """Type on an empty line: Ctrl-U removes what was on it."""
        self.seen = ""
        os.write(self.master, f"\x15{text}".encode())

    def until(self, words: str) -> None:
        """Read until this text was shown."""
        deadline = Deadline(60)
        while words not in self.shown():
            left = deadline.left()
            assert left, f"{words!r} did not come: {self.seen!r}"
            if select.select([self.master], [], [], left)[0]:
                self.seen += os.read(self.master, 65536).decode(errors="replace")

    def shown(self) -> str:
        """The output without escape sequences, bells and overwritten text."""
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x07|\r", "", self.seen)
        return re.sub(r".\x08", "", plain)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def bash(tree: Path, folder: Path) -> Shell:
    del tree
    (folder / "rc").write_text("bind 'set enable-bracketed-paste off'\nPS1='READY> '\n"
                               "source ./script.bash\n")  # fmt: skip
    return Shell(["bash", "--noprofile", "--rcfile", "rc", "-i"], folder)


def zsh(tree: Path, folder: Path) -> Shell:
    modules = next((tree / "usr/lib").glob("*/zsh/5*"))
    (folder / ".zshrc").write_text(
        f"module_path=({modules})\n"
        f"fpath=({tree}/usr/share/zsh/functions/**/*(/) {tree}/usr/share/zsh/functions)\n"
        "autoload -Uz compinit && compinit -u -D\nPS1='READY> '\nunset zle_bracketed_paste\n"
        "source ./script.zsh\n"
    )
    return Shell([str(tree / "bin/zsh"), "-d", "-i"], folder, ZDOTDIR=str(folder))


@pytest.fixture(scope="module", params=[bash, zsh])
def shell(request: pytest.FixtureRequest, tree: Path, folder: Path) -> Iterator[Shell]:
    made: Shell = request.param(tree, folder)
    made.until("READY> ")
    yield made
    made.end()


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("./inv lab.stat", "./inv lab.status"),
        ("./inv lab.up --cou", "--count"),
        ("./inv lab.up he", "./inv lab.up hello"),
        ("./inv lab.up --labs own.yaml ", "own.yaml mine"),
        ("./inv lab.up --door=root", "--door=rootfs"),
        ("./inv lab.up --labs ow", "--labs own.yaml"),
        ("./inv comp", "./inv completion"),
    ],
)
def test_tab_completes(shell: Shell, typed: str, shown: str) -> None:
    """Tasks, options, labs, values and files."""
    shell.type(f"{typed}\t")
    shell.until(shown)


def test_two_tabs_show_what_there_is(shell: Shell) -> None:
    """Both labs are shown; zsh also shows what they are."""
    shell.type("./inv lab.up \t\t")
    shell.until("hello")
    shell.until("periodic")


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("./inv lab.stat", "lab.status\tShow the running labs"),
        ("./inv lab.up he", "hello\tone guest"),
        ("./inv lab.up --cou", "--count\t"),
        ("./inv lab.up --door=root", "--door=rootfs\t"),
        ("./inv lab.up --labs own.yaml ", "mine"),
        ("./inv lab.up --labs ow", "own.yaml"),
    ],
)
def test_fish_completes(tree: Path, folder: Path, typed: str, shown: str) -> None:
    """Completion in fish, as fish itself reports what it would offer."""
    libraries = next((tree / "usr/lib").glob("*-linux-gnu"))
    line = [str(tree / "usr/bin/fish"), "--no-config", "-c",
            "source ./script.fish; complete -C $argv[1]", typed]  # fmt: skip
    done = subprocess.run(
        line, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "HOME": str(folder), "LD_LIBRARY_PATH": str(libraries)},
    )  # fmt: skip
    assert shown in done.stdout, done.stdout + done.stderr
    assert (ROOT / "lab/cli/assets/completion.fish").is_file()
