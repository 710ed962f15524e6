"""What the archive has for the toolchain, asked before anything is fetched.

mmdebstrap reads the archive's index and checks its signature, into a folder of its own; apt says
from there which package files answer a list of names. So it is known what will be fetched, and
how many bytes that is, and a lock that the archive has moved away from costs no download.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.packages.lock import Pin, pins_of_uris
from lab.toolchain import bootstrap, recipe
from lab.util import files, process

ASK_SECONDS = 120.0

#: apt as mmdebstrap runs it, on the folder that it left.
_CONFIGURATION = """\
Dir "{folder}/";
Dir::State::status "{folder}/var/lib/dpkg/status";
Dir::Log "{folder}/var/log/apt";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Install-Recommends "false";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
"""


@dataclass(frozen=True)
class Index:
    """The index as it was read; its ``folder`` has mmdebstrap's sources and lists."""

    folder: Path

    def answer(self, names: Sequence[str]) -> tuple[Pin, ...]:
        """The packages with these names (as apt takes them) and all that they need, by name.

        Raises:
            GoneError: the archive does not have one of them, or not together with the others.
            ToolchainError: apt failed otherwise.
        """
        line = ["apt-get", "--yes", "--quiet=2", "--print-uris", "install", *names]
        env = {"APT_CONFIG": str(self._configuration())}
        done = process.run(line, env=env, timeout=ASK_SECONDS)
        if done.returncode:
            raise bootstrap.failed(line, done)
        pins = pins_of_uris(done.stdout.decode(errors="replace"))
        return tuple(sorted(pins, key=lambda pin: pin.name))

    @property
    def lists(self) -> Path:
        """apt's lists, to be used again: nothing else is as new as what was asked."""
        return self.folder / "var/lib/apt/lists"

    def _configuration(self) -> Path:
        path = self.folder / "lab.conf"
        text = _CONFIGURATION.format(folder=self.folder, arch=recipe.ARCHITECTURE)
        files.write_atomic(path, text)
        return path


def read(folder: Path, address: str | None, lock: int) -> Index:
    """Read the archive's index into a folder that is not there yet.

    Raises:
        ToolchainError: the archive is out of reach, or its signature is wrong.
    """
    bootstrap.run(folder, address, lock, ())
    return Index(folder)
