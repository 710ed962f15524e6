"""What this machine's own apt is set up with: where its archive is, and through which proxy.

No address of an archive is written down in the project: it comes from here, or from the
default of the tool that is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lab.util import process

#: Transports that also work from inside the toolchain (not ``file:`` and ``cdrom:``).
_TRANSPORTS = ("http://", "https://")
_PROXY = re.compile(r'^Acquire::(?:https?|ftp)::Proxy(?:::[^ ]+)? "[^"]+";$')
_ONE_LINE = re.compile(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s")


def archive_of_this_machine() -> str | None:
    """The address of the Debian archive that this machine uses; ``None`` if it has none.

    A machine of another distribution has an archive too, but not of Debian's packages.
    """
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"]
    only = ["Origin: Debian", "Label: Debian", "Created-By: Packages"]
    for line in _lines([*command, *only]):
        address, _, release = line.partition(" ")
        if address.startswith(_TRANSPORTS) and "-" not in release:
            return address.rstrip("/")
    return None


def proxies_of_this_machine() -> tuple[str, ...]:
    """The proxy lines of ``apt-config dump``, as they may stand in an apt configuration."""
    return tuple(line for line in _lines(["apt-config", "dump"]) if _PROXY.match(line))


def archive_of_sources(text: str) -> str | None:
    """The address of the first main suite in the text of sources.list or of a .sources file."""
    if found := _first_one_line(text.splitlines()):
        return found
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.+)$", stanza, re.MULTILINE))
        suites = fields.get("Suites", "").split()
        if "deb" in fields.get("Types", "").split() and any("-" not in s for s in suites):
            return fields.get("URIs", "").split()[0].rstrip("/")
    return None


def _first_one_line(lines: Iterable[str]) -> str | None:
    for line in lines:
        match = _ONE_LINE.match(line)
        if match and "-" not in match[2] and match[1].startswith(_TRANSPORTS):
            return match[1].rstrip("/")
    return None


def _lines(argv: list[str]) -> list[str]:
    try:
        done = process.run(argv, timeout=30)
    except (FileNotFoundError, process.TimedOut):
        return []
    return done.stdout.decode(errors="replace").splitlines() if done.returncode == 0 else []
