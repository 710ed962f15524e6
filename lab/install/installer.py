"""Installs Python packages into an environment with uv, or with pip if uv cannot do it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import ToolchainError
from lab.install import indexes
from lab.model import Completed
from lab.progress import Stage
from lab.util import process
from lab.util.terminal import escape, escape_lines

#: How long an installation may take: it downloads some 35 MB, perhaps on a slow line.
INSTALL_SECONDS = 1800.0
#: uv is a convenience. If an index does not answer, it is asked twice, not six times.
FETCH_UV = ("--retries", "1", "--only-binary", ":all:", "uv")
#: The variable of the environment that chooses the installer; ``pip``: uv is not used.
CHOICE = "LAB_INSTALLER"

#: Lines that begin so do not say what the installer is doing.
_NOISE = ("WARNING", "DEPRECATION", "warning")
_AMOUNT = re.compile(r"^(?:Resolved|Prepared|Installed) (\d+) packages?")


class _Unusable(Exception):
    """uv cannot be used here. The message says why."""


@dataclass
class Installer:
    """Installs into the environment of ``python``.

    ``lock`` is the descriptor of the claim on the environment. uv and pip inherit it. ``wheels`` is
    a folder with everything that is installed: then no index is asked.
    """

    python: Path
    lock: int
    stage: Stage
    wheels: Path | None = None
    _said: list[str] = field(default_factory=list)

    def install(self, what: str) -> str:
        """Install a project from its folder, with a group of pyproject.toml in brackets if wanted.

        Returns which installer did it, and why if it was pip.

        Raises:
            ToolchainError: pip failed too.
        """
        if self.wheels:
            return self._offline(what, self.wheels)
        try:
            done, by = self._with_uv(what), "by uv"
        except _Unusable as reason:
            by = f"by pip: {reason}"
            self.stage.note(by)
            done = self._pip("install", "--editable", what)
        if done.returncode:
            raise ToolchainError(
                "Python packages that the project needs could not be installed",
                command=shlex.join(done.argv),
                tail=escape_lines(done.stdout, last=12),
                hint="check the network and pip's configuration (pip config list), then try again",
            )
        count = max((int(match[1]) for match in map(_AMOUNT.match, self._said) if match), default=0)
        return f"{count} packages, {by}" if count else by

    def _offline(self, what: str, wheels: Path) -> str:
        """Install from a folder. The build backend comes first: pip would ask an index for it."""
        words = ("install", "--no-index", "--find-links", str(wheels))
        done = self._pip(*words, "setuptools>=77")
        if done.returncode == 0:
            done = self._pip(*words, "--no-build-isolation", "--editable", what)
        if done.returncode:
            raise ToolchainError(
                "the bundle has not all Python packages that this Python needs",
                command=shlex.join(done.argv),
                tail=escape_lines(done.stdout, last=12),
                hint="use a version of Python that it was saved for: bundle.show names the wheels; "
                "or make .venv once without --bundle, with network",
            )
        return "from the bundle"

    def _with_uv(self, what: str) -> Completed:
        if os.environ.get(CHOICE) == "pip":
            raise _Unusable(f"{CHOICE}=pip")
        try:
            wanted = indexes.for_uv(self._pip("config", "list").stdout.decode(errors="replace"))
        except indexes.OnlyPip as word:
            raise _Unusable(f"pip is configured with {word}") from None
        uv = self.python.with_name("uv")
        if not uv.exists():
            self.stage.note("fetching uv, the installer")
            if self._pip("install", *FETCH_UV).returncode:
                raise _Unusable("uv cannot be downloaded")
        self.stage.note("")
        line = [str(uv), "pip", "install", "--no-progress", "--python", str(self.python)]
        done = self._follow([*line, *wanted.options, "--editable", what], wanted.environment)
        if done.returncode:
            raise _Unusable(f"uv said: {_reason(done)}")
        return done

    def _pip(self, *words: str) -> Completed:
        line = [str(self.python), "-m", "pip", "--disable-pip-version-check", *words]
        return self._follow(line, {})

    def _follow(self, line: Sequence[str], env: dict[str, str]) -> Completed:
        """Run an installer. The stage shows the last line of its output."""
        self._said = [""]
        with self.stage.looking(lambda: escape(self._said[-1], limit=60)):
            return process.follow(
                line, self._hear, env={**env, **os.environ}, timeout=INSTALL_SECONDS,
                keep_fds=[self.lock],
            )  # fmt: skip

    def _hear(self, line: str) -> None:
        if not line.startswith(_NOISE):
            self._said.append(line.strip())


def _reason(done: Completed) -> str:
    lines = done.stdout.decode(errors="replace").splitlines()
    errors = [line for line in lines if line.lower().startswith("error")]
    return escape(" ".join((errors or lines or ["nothing"])[0].split()), limit=100)
