"""What a tree of the cache contains, and whether it is still that.

Beside ``tree/`` lie three files. ``contents.json`` is written when the tree is made. It has the
mode, size and sha256 of every file, and the target of every link. ``looked`` and ``looked-builds``
have one hash each over the sizes and times that some of the files had when their contents were
last compared. So a command need not read 800 MB to see that nothing has changed.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from lab.util import files, reading, together

#: Increase it when one of the files gets another layout. Then trees are listed again.
FORMAT = 1
CONTENTS = "contents.json"
#: Of the files that are looked at on every use, and of those that only builds read.
ALWAYS, BUILDS = "looked", "looked-builds"
#: The limit for these files, in bytes. A tree has 12,000 files, of which each takes 150 bytes.
LARGEST = 64 << 20

#: What only compilers and scripts of builds read: the files whose paths begin with one of these,
#: or contain the last. They are looked at before something is built.
_FOR_BUILDS = ("usr/share/", "usr/include/", "usr/lib/linux")
_INCLUDES = "/include/"
_NOT_FOR_BUILDS = ("usr/share/qemu/", "usr/share/gdb/")


def make(tree: Path) -> None:
    """List a tree that has just been made, in the folder around it.

    Raises:
        OSError: a file cannot be read or written.
    """
    files.write_atomic(tree.parent / CONTENTS, dump(contents(tree)), durable=False)
    remember(tree)


def looks_the_same(tree: Path, *, whole: bool = False) -> bool | None:
    """Whether a tree's files have the sizes and times that they had; ``None``: it has no list.

    Without ``whole`` this leaves out the files that only builds read.
    """
    if not (tree.parent / CONTENTS).exists():
        return None
    return all(_same(tree, name) for name in ((ALWAYS, BUILDS) if whole else (ALWAYS,)))


def _same(tree: Path, name: str) -> bool:
    """Whether the files that ``looked`` or ``looked-builds`` names look as they did then."""
    try:
        state, *paths = reading.text(tree.parent / name, LARGEST).splitlines()
        return state == _state(tree, paths)
    except (OSError, ValueError):
        return False


def differences(tree: Path) -> list[str]:
    """How the contents of a tree differ from its list, in words, one for each file. It is slow.

    Raises:
        OSError: a file cannot be read.
    """
    try:
        before = read(tree)
    except (OSError, ValueError, KeyError, TypeError):
        return ["the list of its files cannot be read"]
    return list(_words(before, contents(tree)))


def read(tree: Path) -> dict[str, str]:
    """The list of a tree's files: its contents when it was made, as :func:`contents` gives them.

    Raises:
        OSError, ValueError, KeyError, TypeError: there is none, or it cannot be read.
    """
    data = reading.json_file(tree.parent / CONTENTS, LARGEST)
    if data["format"] != FORMAT or not data["files"]:
        raise ValueError("it is no list of files")
    return dict(data["files"])


def dump(listed: Mapping[str, str]) -> str:
    """The text of a list of files."""
    return json.dumps({"format": FORMAT, "files": dict(listed)}, indent=0)


def remember(tree: Path) -> None:
    """Remember the present sizes and times: the contents are those of the list.

    Raises:
        OSError: a file cannot be read or written.
    """
    paths = [str(path.relative_to(tree)) for path, _ in files.tree(tree, frozenset())]
    folders = sorted({folder for path in paths for folder in _parents(path)})
    parts = {
        ALWAYS: [*folders, *(path for path in paths if not _for_builds(path))],
        BUILDS: [path for path in paths if _for_builds(path)],
    }
    for name, part in parts.items():
        text = "\n".join([_state(tree, part), *part])
        files.write_atomic(tree.parent / name, text, durable=False)


def forget(tree: Path) -> None:
    """Forget the sizes and times. The next command compares the contents."""
    (tree.parent / ALWAYS).unlink(missing_ok=True)


def contents(tree: Path) -> dict[str, str]:
    """Each file as ``644 SIZE SHA256`` and each link as ``-> TARGET``, by its path.

    Raises:
        OSError: a file cannot be read.
    """
    found = files.tree(tree, frozenset())
    count = os.cpu_count() or 1
    slices = [partial(_described, tree, found[first::count]) for first in range(count)]
    described = {path: text for part in together.all_of(slices) for path, text in part.items()}
    return dict(sorted(described.items()))


def _described(tree: Path, some: Sequence[tuple[Path, bool]]) -> dict[str, str]:
    described = {}
    for path, is_link in some:
        together.go_on()
        described[str(path.relative_to(tree))] = f"-> {path.readlink()}" if is_link else _file(path)
    return described


def _file(path: Path) -> str:
    state = path.stat()
    return f"{state.st_mode & 0o777:o} {state.st_size} {files.sha256_file(path)}"


def _words(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    gone = [f"{path} is missing" for path in before.keys() - now.keys()]
    new = [f"{path} was added" for path in now.keys() - before.keys()]
    other = [f"{path} has changed" for path, was in before.items() if now.get(path, was) != was]
    return [*sorted(other), *sorted(gone), *sorted(new)]


def _state(tree: Path, paths: Sequence[str]) -> str:
    """One hash over modes, sizes and times of change. The size of a folder does not count."""
    handle = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = [os.stat(path, dir_fd=handle, follow_symlinks=False) for path in paths]
    finally:
        os.close(handle)
    states = [
        (one.st_mode, 0 if stat.S_ISDIR(one.st_mode) else one.st_size, one.st_mtime_ns)
        for one in found
    ]
    return files.sha256_json([FORMAT, repr(states)])


def _parents(path: str) -> list[str]:
    return [str(folder) for folder in Path(path).parents]


def _for_builds(path: str) -> bool:
    if path.startswith(_NOT_FOR_BUILDS):
        return False
    return path.startswith(_FOR_BUILDS) or _INCLUDES in path
