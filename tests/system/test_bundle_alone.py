"""A user who has a bundle and nothing else: no network, no checkout, an empty home."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from system import locks
from system.world import LONGEST, Said, World

#: The labs that docs/bundles.md promises.
LABS = ("hello", "selftest", "two-guests", "linux", "periodic")


@dataclass(frozen=True)
class User:
    """Somebody with an empty home and a folder with the bundle, on a machine without network."""

    folder: Path
    before: tuple[str, ...]

    @property
    def cache(self) -> Path:
        return self.folder / "home/.cache/xenlab"

    def run(self, *words: str | Path) -> Said:
        """Run a program, of which nothing in the environment of the tests is known."""
        known = (f"PATH={os.defpath}", f"HOME={self.folder / 'home'}",
                 f"XDG_RUNTIME_DIR={os.environ['XDG_RUNTIME_DIR']}")  # fmt: skip
        done = subprocess.run(
            [*self.before, "env", "-i", *known, *words], cwd=self.folder, timeout=LONGEST,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Said(done.returncode, done.stdout, done.stderr).expect(0)


@pytest.fixture
def user(world: World, tmp_path: Path, alone: tuple[str, ...]) -> User:
    folder = tmp_path / "user"
    (folder / "home").mkdir(parents=True)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    words = (str(folder / "five.bundle"), *LABS, "--wheels", python)
    locks.save_bundle(world, locks.place(tmp_path), *words)
    return User(folder, alone)


def test_the_published_runs_come_out_of_the_bundle_alone(user: User) -> None:
    """The commands are those of docs/bundles.md. pip is that of the tests, which saves time."""
    user.run("tar", "-xf", "five.bundle", "python")
    user.run(sys.executable, "-m", "venv", "--without-pip", "v")
    pip = (sys.executable, "-m", "pip", "--python", "v/bin/python", "install", "--no-compile")
    user.run(*pip, "--no-index", "--find-links", "python", "xenlab")
    user.run("v/bin/xenlab", "lab.new")
    said = user.run("v/bin/xenlab", "--bundle", "five.bundle", "lab.run", *LABS, "--published")
    same = [line.split()[0] for line in said.out.splitlines() if " same " in line]
    assert same == list(LABS), said.out + said.err
    assert not list(user.cache.glob("packages/*")), "no package was needed"
