"""The settings of this machine's apt: the address of its archive, and its proxy.

The project contains no address of an archive. It comes from here, or from the default of the tool
that is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from lab.util import process, reading

#: Transports that also work inside the toolchain (not ``file:`` and ``cdrom:``).
_TRANSPORTS = ("http://", "https://")
#: The folder that contains etc/ of this machine.
ROOT = Path("/")

#: A line of apt's --print-uris: address (not kept), file name, size, hash.
_URI_LINE = re.compile(r"^'[^']+' (\S+) (\d+) SHA256:([0-9a-f]{64})$", re.MULTILINE)
#: apt's words for a file that is in its index but not, or no longer, in the archive; a pattern.
GONE_FILE = r"Failed to fetch \S+ +404\b"
#: apt's words for a file that it could not download: address, reason.
_NOT_FETCHED = re.compile(r"^E: Failed to fetch (\S+) +(.+?)(?: \[IP: .*)?$", re.MULTILINE)
_PROXY = re.compile(r'^Acquire::(?:https?|ftp)::Proxy(?:::[^ ]+)? "[^"]+";$')
_ONE_LINE = re.compile(r"^deb[ \t]+(?:\[[^]]*\][ \t]+)?(\S+)[ \t]+(\S+)[ \t]+(.*)$", re.MULTILINE)

#: One source: address, suites, components.
_Source = tuple[str, list[str], list[str]]


def archive_of_this_machine() -> str | None:
    """The address of the Debian archive that this machine uses; ``None`` if it has none.

    A machine of another distribution also has an archive, but not with Debian's packages. apt knows
    the origin of an archive only after it has read the index. Before, the sources must do.
    """
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"]
    only = ["Origin: Debian", "Label: Debian", "Created-By: Packages"]
    for line in _lines([*command, *only]):
        address, _, release = line.partition(" ")
        if address.startswith(_TRANSPORTS) and "-" not in release:
            return address.rstrip("/")
    return _archive_in_sources(ROOT)


def proxies_of_this_machine() -> tuple[str, ...]:
    """The proxy lines of ``apt-config dump``, in the format of an apt configuration."""
    return tuple(line for line in _lines(["apt-config", "dump"]) if _PROXY.match(line))


def uris(text: str) -> list[tuple[str, int, str]]:
    """Each file in the output of ``apt-get --print-uris``: its name, size in bytes, sha256."""
    return [(file, int(size), sha) for file, size, sha in _URI_LINE.findall(text)]


def not_fetched(text: str) -> str:
    """The first file that apt could not download, and why; empty if there is none.

    ``make_4.4.1-2_amd64.deb: 404  Not Found``.
    """
    if match := _NOT_FETCHED.search(text):
        return f"{unquote(match[1].rpartition('/')[2])}: {' '.join(match[2].split())}"
    return ""


def archive_of_sources(text: str, suite: str | None = None) -> str | None:
    """The address in the text of a sources.list or .sources file (sources.list(5)).

    Only an entry with ``main`` counts, for ``suite`` or, without it, for any suite except updates
    and security.
    """
    for address, suites, components in (*_one_lines(text), *_stanzas(text)):
        right = suite in suites if suite else any("-" not in name for name in suites)
        if right and "main" in components and address.startswith(_TRANSPORTS):
            return address.rstrip("/")
    return None


def _archive_in_sources(root: Path) -> str | None:
    """The archive in the sources of a Debian machine; ``None`` on any other machine."""
    try:
        release = reading.text(root / "etc/os-release")
    except OSError:
        return None
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', release, re.MULTILINE))
    if fields.get("ID") != "debian":
        return None
    folder = root / "etc/apt"
    for path in (folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))):
        text = reading.text(path, errors="replace") if path.is_file() else ""
        if found := archive_of_sources(text, fields.get("VERSION_CODENAME")):
            return found
    return None


def _one_lines(text: str) -> Iterator[_Source]:
    for match in _ONE_LINE.finditer(text):
        yield match[1], match[2].split(), match[3].split()


def _stanzas(text: str) -> Iterator[_Source]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.+)$", stanza, re.MULTILINE))
        words = {name.lower(): value.split() for name, value in fields.items()}
        if "deb" in words.get("types", ()) and words.get("enabled") != ["no"]:
            for address in words.get("uris", ()):
                yield address, words.get("suites", []), words.get("components", [])


def _lines(argv: list[str]) -> list[str]:
    try:
        done = process.run(argv, timeout=30)
    except (FileNotFoundError, process.TimedOut):
        return []
    return done.stdout.decode(errors="replace").splitlines() if done.returncode == 0 else []
