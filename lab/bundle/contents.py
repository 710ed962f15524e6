"""The list of contents of a bundle: what it is for, and the size and hash of all that is in it.

A bundle is a tar (GNU format, not compressed) whose first member is ``contents.json``, this list.
So one can look without unpacking, and take out single members. The second is ``contents.sha256``,
the list's sha256 in hexadecimal. The other members, in the list's order:

``lab/labs.yaml``, ``lab/labs.lock``
    the files that the bundle was saved for.
``python/*.whl``
    xenlab and the packages that it needs.
``cache/apt/resolutions/*.json``
    which packages answered which question.
``cache/packages/SHA256/FILE``
    packages, for those who must build again.
``cache/PLACE.zst``
    a part: the files of the folder PLACE of a cache, one after another in the list's order, without
    anything between them, compressed with Zstandard (RFC 8878).
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.errors import BundleError
from lab.util import reading

#: Increase it when a reader of the old format cannot read the new one.
FORMAT = 1
NAME, DIGEST = "contents.json", "contents.sha256"
#: The limits for a bundle: bytes of the list, members, files, and bytes of all files together.
LARGEST_LIST, MOST_MEMBERS, MOST_FILES, LARGEST = 64 << 20, 20_000, 200_000, 64 << 30

_HASH = "[0-9a-f]{64}"
_PART = re.compile(
    rf"cache/(toolchain/{_HASH}-[0-9a-f]{{16}}|store/[a-z0-9][a-z0-9-]*/{_HASH}|templates/{_HASH})"
    r"\.zst"
)
_PLAIN = re.compile(
    rf"cache/apt/resolutions/{_HASH}\.json|cache/packages/{_HASH}/[A-Za-z0-9][\w.+~%-]*"
    r"|lab/labs\.(yaml|lock)|python/[A-Za-z0-9][\w.+-]*\.whl",
    re.ASCII,
)
_FILE = re.compile(rf"(?P<mode>[0-7]{{3}}) (?P<size>\d{{1,15}}) (?P<sha256>{_HASH})")
LINK = "-> "


@dataclass(frozen=True)
class Member:
    """One member of the tar: its name, its size in bytes, and the sha256 of its bytes."""

    name: str
    size: int
    sha256: str

    @property
    def place(self) -> str:
        """Where it belongs in a cache, or below a folder for what belongs to no cache."""
        return self.name.removeprefix("cache/").removesuffix(".zst")

    @property
    def is_part(self) -> bool:
        """Whether it has the files of a folder."""
        return self.name.endswith(".zst")


@dataclass(frozen=True)
class File:
    """A file of a part: permissions, size in bytes and sha256; or a link with its target."""

    mode: int = 0
    size: int = 0
    sha256: str = ""
    target: str = ""

    @staticmethod
    def of(text: str) -> File:
        """A file as lists have it: ``644 SIZE SHA256`` or ``-> TARGET``.

        Raises:
            ValueError: it is neither.
        """
        if text.startswith(LINK):
            return File(target=text.removeprefix(LINK))
        found = _FILE.fullmatch(text)
        if not found:
            raise ValueError(f"{text[:80]!r} describes no file")
        return File(int(found["mode"], 8), int(found["size"]), found["sha256"])


@dataclass(frozen=True)
class Contents:
    """The list of contents.

    ``lock``: the digest of labs.lock; ``labs``: the names of the labs; ``version``: that of the
    xenlab that saved it; ``parts``: the name of a member → its files, each by its path; ``whole``:
    its toolchains have compilers, and not only what runs a lab.
    """

    lock: str
    labs: tuple[str, ...]
    version: str
    members: tuple[Member, ...]
    parts: Mapping[str, Mapping[str, str]]
    whole: bool = False

    @property
    def unpacked(self) -> int:
        """The size of all files of all parts, in bytes."""
        return sum(self.size_of(name) for name in self.parts)

    def size_of(self, part: str) -> int:
        """The size of all files of a part, in bytes."""
        return sum(File.of(text).size for text in self.parts[part].values())

    def dump(self) -> bytes:
        """The text of the list. The same contents give the same bytes."""
        data = {
            "format": FORMAT,
            "lock": self.lock,
            "labs": [*self.labs],
            "version": self.version,
            "whole": self.whole,
            "members": [vars(one) for one in self.members],
            "parts": self.parts,
        }
        return json.dumps(data, sort_keys=True, ensure_ascii=True, indent=0).encode()

    @property
    def digest(self) -> str:
        """The sha256 of the list, and so of everything that it lists."""
        return hashlib.sha256(self.dump()).hexdigest()


def parse(raw: bytes) -> Contents:
    """The list of contents from its text, checked: no path leads out of its folder.

    Raises:
        BundleError: it is not such a list, or lists what a bundle may not have.
    """
    try:
        data = reading.parse_json(raw)
        if not isinstance(data, dict) or not isinstance(data.get("format"), int):
            raise ValueError("it has no format")
        if data["format"] > FORMAT:
            raise BundleError(
                f"its format is {data['format']}, newer than this xenlab knows ({FORMAT})",
                hint="update xenlab",
            )
        return _checked(_of_json(data))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BundleError(f"its list of contents cannot be read: {error}") from None


def _of_json(data: Mapping[str, Any]) -> Contents:
    if len(data["members"]) > MOST_MEMBERS:
        raise ValueError(f"more than {MOST_MEMBERS} members")
    members = tuple(Member(**one) for one in data["members"])
    strings = [data["lock"], data["version"], *data["labs"]]
    strings += [text for one in members for text in (one.name, one.sha256)]
    if not all(isinstance(one, str) for one in strings):
        raise ValueError("a name or hash is not a text")
    if not all(type(one.size) is int and one.size >= 0 for one in members):
        raise ValueError("a size is not a number")
    labs, whole = tuple(data["labs"]), data["whole"] is True
    return Contents(data["lock"], labs, data["version"], members, data["parts"], whole)


def _checked(found: Contents) -> Contents:
    names = [one.name for one in found.members]
    if len(set(names)) != len(names):
        raise ValueError("a member is listed twice")
    if strange := [one for one in names if not (_PART.fullmatch(one) or _PLAIN.fullmatch(one))]:
        raise ValueError(f"{strange[0][:80]!r} has no place in a lab's cache")
    if {one.name for one in found.members if one.is_part} != found.parts.keys():
        raise ValueError("the parts are not those of the members")
    if sum(map(len, found.parts.values())) > MOST_FILES:
        raise ValueError(f"more than {MOST_FILES} files")
    for paths in found.parts.values():
        _check_files(paths)
    if found.unpacked > LARGEST:
        raise ValueError(f"its files have more than {LARGEST >> 30} GiB")
    return found


def _check_files(paths: Mapping[str, str]) -> None:
    """Refuse a path or link that leads out of its folder, and one that is below a link."""
    links = {path for path, text in paths.items() if text.startswith(LINK)}
    plain = paths.keys() - links
    for path, text in paths.items():
        if not _is_inside(path):
            raise ValueError(f"the path {path[:80]!r} leads out of its folder")
        if between := [one for one in _above(path) if one in links or one in plain]:
            raise ValueError(f"{path[:80]!r} is below {between[0][:80]!r}, which is no folder")
        found = File.of(text)
        if path in links and not _leads_inside(path, found.target):
            raise ValueError(f"the link {path[:80]!r} leads out of its folder")


def _is_inside(path: str) -> bool:
    names = path.split("/")
    return "\0" not in path and not {"", ".", ".."} & set(names) and len(path.encode()) < 4000


def _leads_inside(path: str, target: str) -> bool:
    """An absolute target is one inside a toolchain's tree, whose programs see nothing else."""
    if not target or "\0" in target or len(target.encode()) >= 4000:
        return False
    if target.startswith("/"):
        return path.startswith("tree/")
    ends = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return not (ends == ".." or ends.startswith("../"))


def _above(path: str) -> Iterable[str]:
    names = path.split("/")
    return ("/".join(names[:count]) for count in range(1, len(names)))
