"""A private apt for packages of another suite and architecture, run inside the toolchain.

It has its own sources, state and cache, and trusts only Debian's archive keys. It never changes the
host's apt, and reads only the archive's address and the proxy from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lab.errors import ImageError, ToolchainError
from lab.model import Command, Completed, Mount, Toolchain
from lab.util import debian, files
from lab.util.terminal import escape, escape_lines

#: Used in place of an architecture's name: source packages.
SOURCE = "source"

#: Paths inside the toolchain: apt's private root, and the folder for downloads.
INSIDE = "/apt"
DOWNLOADS = "/downloads"
#: Seconds that one apt command may take.
APT_SECONDS = 900.0

#: For files that the archive may well not have: apt asks only once.
_ONE_TRY = ("-o", "Acquire::Retries=0")

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

#: Without ``ForceHash`` apt prints MD5 sums for binary packages.
_CONFIGURATION = f"""\
Dir "{INSIDE}";
Dir::State "{INSIDE}";
Dir::State::lists "{INSIDE}/lists";
Dir::State::status "{INSIDE}/status";
Dir::Cache "{INSIDE}/cache";
Dir::Cache::srcpkgcache "";
Dir::Etc "{INSIDE}/etc";
Dir::Etc::sourcelist "{INSIDE}/etc/sources.list";
Dir::Log "{INSIDE}/log";
APT::Architecture "%(arch)s";
APT::Architectures {{ "%(arch)s"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
"""


class Apt:
    """apt for one suite and architecture (or ``SOURCE``); its state is in ``folder``.

    ``snapshot`` is a time in UTC (``20261122T120000Z``): apt uses the archive as it was then. apt
    itself knows where an archive's snapshots are, or learns it from the archive's own index.
    """

    def __init__(
        self, toolchain: Toolchain, folder: Path, suite: str, arch: str, snapshot: str = ""
    ) -> None:
        self._toolchain = toolchain
        self._folder = folder
        self._suite = suite
        self._arch = arch
        self._options = (f"--snapshot={snapshot}", *_ONE_TRY) if snapshot else ()

    @property
    def updated(self) -> bool:
        """Whether the suite's index was fetched before. With a snapshot this is always false."""
        return not self._options and (self._folder / "updated").is_file()

    def update(self) -> None:
        """Fetch the suite's index and check its signature.

        Raises:
            ImageError: the archive is out of reach, or the signature is wrong.
        """
        self._prepare()
        self("update", what=f"the package index of {self._suite} ({self._arch})", network=True)
        files.write_atomic(self._folder / "updated", "")

    def __call__(
        self,
        verb: str,
        *arguments: str,
        what: str,
        network: bool = False,
        into: Path | None = None,
    ) -> Completed:
        """Run ``apt-get verb``. ``into`` is the folder for downloads.

        Raises:
            ImageError: apt failed. The message says ``what`` was wanted.
        """
        mounts = [Mount(self._folder, INSIDE, writable=True)]
        if into:
            mounts.append(Mount(into, DOWNLOADS, writable=True))
        argv = ["apt-get", "--yes", "--quiet=2", *self._options, verb, *arguments]
        try:
            return self._toolchain.run(
                Command(
                    argv,
                    mounts=mounts,
                    cwd=DOWNLOADS if into else "/",
                    env={"APT_CONFIG": f"{INSIDE}/apt.conf"},
                    network=network,
                    timeout=APT_SECONDS,
                )
            )
        except ToolchainError as error:
            raise _error(what, error) from error

    def _prepare(self) -> None:
        for name in ("lists/partial", "cache/archives/partial", "log",
                     "etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d"):  # fmt: skip
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        files.write_atomic(self._folder / "status", "")
        files.write_atomic(self._folder / "etc/sources.list", self._sources())
        arch = "amd64" if self._arch == SOURCE else self._arch
        proxies = "".join(f"{line}\n" for line in debian.proxies_of_this_machine())
        files.write_atomic(self._folder / "apt.conf", _CONFIGURATION % {"arch": arch} + proxies)

    def _sources(self) -> str:
        kind, only = ("deb-src", "") if self._arch == SOURCE else ("deb", f"arch={self._arch} ")
        return f"{kind} [{only}signed-by={_KEYRING}] {self._address()} {self._suite} main\n"

    def _address(self) -> str:
        """The archive of this machine's apt, or else the one that the toolchain was made from."""
        if found := debian.archive_of_this_machine():
            return found
        listing = ["sh", "-c", "cat /etc/apt/sources.list /etc/apt/sources.list.d/* || :"]
        text = self._toolchain.run(Command(listing)).stdout.decode(errors="replace")
        if found := debian.archive_of_sources(text):
            return found
        raise ImageError(
            "no Debian archive is known on this machine",
            hint="apt's sources name none; write one to /etc/apt/sources.list.d",
        )


def _error(what: str, cause: ToolchainError) -> ImageError:
    hint = cause.hint
    if re.search("resolv|onnect|Failed to fetch|timed out|took longer", cause.tail + cause.message):
        hint = (
            "the Debian archive is out of reach or does not have it: check the network, and the "
            "proxy in the environment or in apt's configuration"
        )
    if re.search(debian.GONE_FILE, cause.tail):
        hint = "the archive's index is older than its files: try again in an hour"
    if re.search("Unable to locate|no installation candidate|Unable to find", cause.tail):
        hint = (
            "the archive no longer has it: use a cache (LAB_CACHE) that has the locked "
            "packages, or a mirror that keeps old ones"
        )
    file = escape(debian.not_fetched(cause.tail), limit=160)
    why = f"cannot download {file}" if file else "" if cause.tail else cause.message
    return ImageError(
        f"could not get {what}{f': {why}' if why else ''}",
        command=cause.command,
        tail=escape_lines(cause.tail, last=12),
        hint=hint,
    )


def names_of(packages: Sequence[str]) -> str:
    """The names for a sentence: the first four, and how many more there are."""
    some = ", ".join(packages[:4])
    return some if len(packages) <= 4 else f"{some} and {len(packages) - 4} more"
