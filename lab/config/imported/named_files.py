"""Finds the files that another configuration names, and writes their paths for labs.yaml."""

from __future__ import annotations

import os
from pathlib import Path

from lab.util.terminal import quote


class NamedFiles:
    """Looks for files below ``folder``. ``base``: the folder of labs.yaml."""

    def __init__(self, folder: Path, base: Path) -> None:
        self._folder = folder.absolute()
        self._base = base.absolute()

    def path(self, text: str) -> tuple[str, str]:
        """The path for labs.yaml of a file that the configuration names, and what to say of it.

        A path such as ``/boot/zImage`` is one in dom0 or on a board. If there is no such file here,
        the folder is taken for that root, and then the file of that name in the folder itself.
        """
        given = Path(text).expanduser() if text.startswith("~") else Path(text)
        places = [self._folder / given]
        if given.is_absolute():
            places.append(self._folder / given.relative_to("/"))
        places.append(self._folder / given.name)
        there = next((place for place in places if place.is_file()), None)
        if there is None:
            words = f"no such file here: {quote(text)}; put it there, or write its path"
            return self._shown(places[0]), words
        said = "" if there == places[0] else f"took {quote(str(there))} for {quote(text)}"
        return self._shown(there), said

    def own(self, path: Path) -> str:
        """The path for labs.yaml of a file of the lab itself."""
        return self._shown(path.absolute())

    def _shown(self, path: Path) -> str:
        path = Path(os.path.normpath(path))
        return str(path.relative_to(self._base) if path.is_relative_to(self._base) else path)
