"""The paths of labs.yaml, made absolute and checked."""

from __future__ import annotations

from pathlib import Path

from lab import model
from lab.config import remembered
from lab.config.yaml_source import Loc, Source
from lab.images import kernel_tree
from lab.util import reading
from lab.util.terminal import quote


class Paths:
    """Checks paths of labs.yaml, which are relative to its folder, and makes them absolute.

    With ``refused``, a file or folder that is missing or wrong is no problem of labs.yaml: it is
    added there, and refuses one guest.
    """

    def __init__(self, source: Source, refused: list[model.Refusal] | None = None) -> None:
        self._source = source
        self._refused = refused
        self._base = source.file.absolute().parent

    def named(self, text: str) -> Path:
        """The path of a file that may be missing; then only its guest is refused."""
        self._source.looked.append((text, False))
        return remembered.look(self._base, text, folder=False)[0]

    def file(self, loc: Loc, text: str, most: int = reading.IMAGE) -> Path:
        return self._there(loc, text, folder=False, most=most)

    def folder(self, loc: Loc, text: str) -> Path:
        return self._there(loc, text, folder=True)

    def kernel(self, loc: Loc, text: str) -> Path:
        """A tree of the FreeRTOS kernel."""
        self._source.looked += [(f"{text}/{name}", False) for name in kernel_tree.FILES]
        return self._there(loc, text, folder=True, kernel=True)

    def _there(
        self, loc: Loc, text: str, *, folder: bool, kernel: bool = False, most: int = reading.IMAGE
    ) -> Path:
        self._source.looked.append((text, folder))
        path, wrong = remembered.look(self._base, text, folder=folder, most=most)
        if kernel and not wrong and (why := kernel_tree.lacks(path)):
            wrong = f"not a FreeRTOS kernel: {quote(text)}: {why}"
        if wrong:
            key = next(word for word in reversed(loc) if isinstance(word, str))
            self._problem(loc, f"{quote(key)}: {wrong}")
        return path

    def _problem(self, loc: Loc, text: str) -> None:
        if self._refused is None:
            self._source.add(loc, text)
        else:
            self._refused.append(model.Refusal(self._source.place(loc), text))

    def below(self, loc: Loc, folder: Path, text: str) -> Path:
        """The path of a file that a build will make in ``folder``; it need not exist yet."""
        relative = Path(text)
        if relative.is_absolute() or ".." in relative.parts:
            what = quote(str(loc[-1]))
            self._source.add(loc, f"{what} must be inside the project: relative to it, without ..")
        return folder / relative
