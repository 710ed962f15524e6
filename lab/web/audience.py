"""Who looks at a seat: its own pages, and the teacher's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

Told = Callable[[], None]


class Audience:
    """The pages that show a seat now."""

    def __init__(self) -> None:
        self._pages: list[tuple[Told, Told]] = []
        self._overseers: list[tuple[Told, Told]] = []

    @property
    def pages(self) -> int:
        """How many pages of the seat itself are open."""
        return len(self._pages)

    @contextlib.contextmanager
    def page(self, told: Told, grown: Told) -> Iterator[None]:
        """While the block runs, ``told`` is called after each change, and ``grown`` after each
        output of a console: that is far more often, and must be cheap."""
        self._pages.append((told, grown))
        try:
            yield
        finally:
            self._pages.remove((told, grown))

    @contextlib.contextmanager
    def overseer(self, told: Told) -> Iterator[None]:
        """The same for the teacher's page, which shows no output but the last line."""
        self._overseers.append((told, told))
        try:
            yield
        finally:
            self._overseers.remove((told, told))

    def tell(self) -> None:
        """Something has changed."""
        for told, _ in [*self._pages, *self._overseers]:
            told()

    def grown(self) -> None:
        """A console has said something."""
        for _, grown in [*self._pages, *self._overseers]:
            grown()
