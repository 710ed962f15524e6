"""Makes the environment ``.venv``. ``./inv`` runs this module when ``.venv`` is not ready.

Only Python's standard library is imported here. The packages that labs need are installed
first. Those of the tests and of the workshop's page are installed when they are needed
(:func:`ensure`). uv installs them, in a tenth of pip's time. If uv is not available or fails, pip
installs them.

``.venv/.stamp`` says which pyproject.toml and which folder the environment was made for. It is
written last, so an interrupted installation is repeated. A process that works on an environment
has a claim on ``.venv.lock``, so there is only one at a time.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeAlias

from lab.errors import LabError, ToolchainError
from lab.install.installer import Installer
from lab.progress import Progress, Stage
from lab.toolchain import provide
from lab.util import files, process, signals, together
from lab.util.terminal import escape_lines

#: How long the interpreter may take for its part. On a busy machine ``venv`` takes a while.
VENV_SECONDS = 600.0
#: What the packages of each group are for.
GROUPS = {
    "cluster": "packages of clusters",
    "dev": "packages of the tests",
    "plots": "packages of pictures",
    "registry": "packages of registries",
    "serve": "packages of the page",
    "signed": "packages of signatures",
}
#: Imported once here. Otherwise the first command would compile them, and seem to hang.
_FIRST = "import lab.cli.program, rich.live, pydantic, yaml, lab.config"

#: Puts the wheels of a bundle into a folder, and returns whether it has any.
Wheels: TypeAlias = Callable[[Path], bool]
#: Makes what a task, given by its words, will need; ``progress`` hears of it.
Beside: TypeAlias = Callable[[Sequence[str], Progress], None]


@dataclass(frozen=True)
class Environment:
    """The environment of a checkout. ``stamp``: the text of its stamp file when it is ready."""

    checkout: Path
    stamp: str

    @property
    def folder(self) -> Path:
        return self.checkout / ".venv"

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    def ready(self, group: str = "") -> bool:
        """Whether the packages that labs need are installed, or those of a ``group``.

        Groups are the optional dependencies in pyproject.toml.
        """
        try:
            return self._stamp(group).read_text().rstrip("\n") == self.stamp
        except OSError:
            return False

    def stamped(self, group: str = "") -> None:
        """Note that the environment, or a group of packages in it, is complete."""
        files.write_atomic(self._stamp(group), f"{self.stamp}\n")

    def unstamp(self) -> None:
        for path in self.folder.glob(".stamp*"):
            path.unlink()

    def _stamp(self, group: str) -> Path:
        return self.folder / (f".stamp-{group}" if group else ".stamp")


def main(
    beside: Beside = lambda _words, _progress: None, wheels: Wheels = lambda _: False
) -> NoReturn:
    """``FOLDER PYTHON STAMP WORD…``: make the environment, then run ``xenlab WORD…`` in it.

    If there was none before, ``beside`` makes at the same time what the task will need. If
    ``wheels`` has the packages, no index is asked for them.
    """
    folder, python, stamp, *words = sys.argv[1:]
    environment = Environment(Path(folder), stamp)
    signals.one_way_to_stop()
    try:
        progress = Progress()
        works = [partial(make, environment, python, progress, wheels)]
        if not environment.folder.exists():
            works.append(partial(beside, words, progress))
        together.all_of(works)
    except KeyboardInterrupt:
        _end("interrupted; the next ./inv continues", 130)
    except LabError as error:
        _end(f"error [{error.layer}]: {error}", int(error.exit_status))
    except OSError as error:
        _end(f"error: {error.strerror}: {error.filename}\n  what to do: free disk space, or "
             "clone the project into a folder that you may write to", 3)  # fmt: skip
    program = str(environment.folder / "bin/xenlab")
    os.execv(program, [program, *words])


def make(
    environment: Environment, python: str, progress: Progress, wheels: Wheels = lambda _: False
) -> None:
    """Make the environment with the interpreter ``python``, unless it is ready.

    Raises:
        ToolchainError: a package cannot be installed, or Python lacks its venv module.
    """
    if environment.ready():
        return
    with progress.stage("environment") as stage, _held(environment, stage.note) as lock:
        if environment.ready():
            return
        has_venv = process.run([python, "-c", "import ensurepip, venv"], timeout=VENV_SECONDS)
        if has_venv.returncode:  # Debian ships ensurepip in a package of its own
            provide.install(["python3-venv"], progress.say)
        old = environment.folder.exists()
        progress.say(f"inv: {'updating .venv' if old else 'making .venv (only the first time)'}")
        _fresh(environment, python, stage)
        with tempfile.TemporaryDirectory() as folder:
            offline = Path(folder) if wheels(Path(folder)) else None
            installer = Installer(environment.python, lock, stage, offline)
            found = installer.install(str(environment.checkout))
        stage.note("trying the environment")
        process.run([str(environment.python), "-c", _FIRST], cwd=environment.checkout)
        files.write_atomic(environment.folder / ".place", f"{environment.checkout}\n")
        environment.stamped()
        stage.note(found)


def ensure(group: str, progress: Progress) -> None:
    """Install a group's packages too, if this process runs in the environment of a checkout.

    Any other environment is left alone: its owner decides what is in it.

    Raises:
        ToolchainError: the packages cannot be installed.
    """
    checkout = Path(sys.prefix).parent
    environment = Environment(checkout, _stamp_of(Path(sys.prefix)))
    if not environment.stamp or environment.folder != Path(sys.prefix) or environment.ready(group):
        return
    with progress.stage(GROUPS[group]) as stage, _held(environment, stage.note) as lock:
        if not environment.ready(group):
            found = Installer(environment.python, lock, stage).install(f"{checkout}[{group}]")
            environment.stamped(group)
            stage.note(found)


def _stamp_of(folder: Path) -> str:
    try:
        return (folder / ".stamp").read_text().rstrip("\n")
    except OSError:
        return ""


def _held(environment: Environment, tell: Callable[[str], None]) -> AbstractContextManager[int]:
    lock = environment.checkout / ".venv.lock"
    return files.locked(lock, lambda: tell("waiting for another ./inv that is making it"))


def _fresh(environment: Environment, python: str, stage: Stage) -> None:
    """Have an environment to install into. One that was moved or has lost its Python is remade."""
    environment.unstamp()
    if _usable(environment):
        return
    files.remove_tree(environment.folder)
    stage.note("making .venv")
    done = process.run([python, "-m", "venv", str(environment.folder)], timeout=VENV_SECONDS)
    if done.returncode:
        raise ToolchainError(
            "the environment .venv could not be made",
            command=shlex.join(done.argv),
            tail=escape_lines(done.stdout + done.stderr, last=12),
            hint=f"remove {environment.folder} and try again",
        )


def _usable(environment: Environment) -> bool:
    try:
        place = (environment.folder / ".place").read_text().rstrip("\n")
        works = process.run([str(environment.python), "-c", "pass"], timeout=VENV_SECONDS)
    except OSError:
        return False
    return place == str(environment.checkout) and works.returncode == 0


def _end(words: str, status: int) -> NoReturn:
    print(words, file=sys.stderr)
    sys.exit(status)
