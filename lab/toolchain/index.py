"""Finds out which packages the archive has for the toolchain, then downloads them.

mmdebstrap writes the archive's index into a folder of its own and checks its signature. With that
index apt says which package files belong to a list of names, and downloads them. So the files and
their size are known before the download, and a lock that the archive has moved on from costs no
download.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.packages.lock import Pin, pins_of_uris
from lab.progress import Amount, current
from lab.toolchain import bootstrap, recipe
from lab.util import debian, files, process

#: How long apt may take to find the packages for a list of names.
ASK_SECONDS = 120.0

#: Makes apt work in the folder that mmdebstrap left, with mmdebstrap's own settings.
_CONFIGURATION = """\
Dir "{folder}/";
Dir::State::status "{folder}/var/lib/dpkg/status";
Dir::Log "{folder}/var/log/apt";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Install-Recommends "false";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
APT::Sandbox::User "root";
{more}"""


@dataclass(frozen=True)
class Index:
    """The archive's index. ``folder`` has the sources and lists that mmdebstrap wrote.

    Packages are downloaded into the folder too. Each download first removes the earlier one's.
    """

    folder: Path

    def answer(self, names: Sequence[str]) -> tuple[Pin, ...]:
        """These packages (named as for apt) and their dependencies, sorted by name.

        Raises:
            GoneError: the archive does not have one of them, or it conflicts with the others.
            ToolchainError: apt failed for another reason.
        """
        line = ["apt-get", "--yes", "--quiet=2", "--print-uris", "install", *names]
        env = {"APT_CONFIG": str(self._configuration())}
        done = process.run(line, env=env, timeout=ASK_SECONDS)
        if done.returncode:
            raise bootstrap.failed(line, done)
        pins = pins_of_uris(done.stdout.decode(errors="replace"))
        return tuple(sorted(pins, key=lambda pin: pin.name))

    def fetch(self, names: Sequence[str], size: int = 0) -> list[Path]:
        """Download these packages (named as for apt) and their dependencies. Returns the files.

        apt checks their hashes. ``size`` (bytes) is for the progress; 0: not known.

        Raises:
            GoneError: the archive does not have one of them.
            ToolchainError: apt failed for another reason.
        """
        files.remove_tree(self._archives)
        (self._archives / "partial").mkdir(parents=True)
        line = ["apt-get", "--yes", "--quiet=2", "--download-only", "install", *names]
        env = {"APT_CONFIG": str(self._configuration())}
        amount = Amount(size)
        with current().looking(lambda: f"fetched {amount.words(_size(self._archives))}"):
            done = bootstrap.attempt(line, env)
        if done.returncode:
            raise bootstrap.failed(line, done)
        return sorted(self._archives.glob("*.deb"))

    @property
    def sources(self) -> list[Path]:
        """The files that say where the archive is."""
        found = (self.folder / "etc/apt").glob("sources.list*")
        return [path for path in found if path.is_file()]

    @property
    def _archives(self) -> Path:
        return self.folder / "var/cache/apt/archives"

    def _configuration(self) -> Path:
        path = self.folder / "lab.conf"
        more = "\n".join((*bootstrap.PATIENCE, *debian.proxies_of_this_machine()))
        arch = recipe.ARCHITECTURE
        text = _CONFIGURATION.format(folder=self.folder, arch=arch, more=f"{more}\n")
        files.write_atomic(path, text)
        return path


def read(folder: Path, address: str | None, lock: int) -> Index:
    """Read the archive's index into a folder that does not exist yet.

    ``address``: the archive; ``None``: mmdebstrap's default. ``lock``: the claim's descriptor.

    Raises:
        ToolchainError: the archive is out of reach, or its signature is wrong.
    """
    bootstrap.run(folder, address, lock)
    return Index(folder)


def _size(folder: Path) -> int:
    """How many bytes have been downloaded into a folder so far."""
    return sum(path.stat().st_size for path in folder.rglob("*.deb*"))
