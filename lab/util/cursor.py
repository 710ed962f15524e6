"""Keeps track of a terminal's cursor from what is written (ECMA-48, DEC's VT102).

It is needed to answer a program that asks for the cursor without asking the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rich.cells import get_character_cell_size

TAB = 8
_RUNS = re.compile("[^\x00-\x1f]+|[\x00-\x1f]")


@dataclass
class Cursor:
    """A cursor on a screen of ``rows`` and ``columns``, counted from 1.

    It begins at the bottom, as on a terminal that has been used for a while. ``wraps``: a character
    behind the last column goes to the next row.
    """

    rows: int = 24
    columns: int = 80
    wraps: bool = True

    def __post_init__(self) -> None:
        self.row, self.column = self.rows, 1
        self._over = False  # there is a character in the last column, and the next one wraps
        self._saved = (self.row, self.column)
        self.region()

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the screen. A cursor outside of it moves to its edge."""
        self.rows, self.columns = max(1, rows), max(1, columns)
        self.top, self.bottom = 1, self.rows
        self.to(self.row, self.column)

    def to(self, row: int, column: int) -> None:
        """Move to a place, at most to the edge of the screen."""
        self.row = min(max(1, row), self.rows)
        self.column = min(max(1, column), self.columns)
        self._over = False

    def write(self, text: str) -> None:
        """Write text with the controls CR, LF, BS, TAB; BEL does not move the cursor."""
        for char in _RUNS.findall(text):
            if char >= " ":
                self._run(char)
            elif char == "\r":
                self.to(self.row, 1)
            elif char == "\n":
                self.to(self.below(1), self.column)
            elif char == "\b":
                self.to(self.row, self.column - 1)
            elif char == "\t":
                self.to(self.row, (self.column - 1) // TAB * TAB + TAB + 1)

    def _run(self, text: str) -> None:
        """Write text without controls; most of it is ASCII that fits into its row."""
        if text.isascii() and not self._over and self.column + len(text) <= self.columns:
            self.column += len(text)
            return
        for char in text:
            self._put(get_character_cell_size(char))

    def _put(self, width: int) -> None:
        if width and (self._over or self.column + width - 1 > self.columns):
            if self.wraps:
                self.to(self.below(1), 1)
            else:
                self.column = max(1, self.columns - width + 1)
        self._over = width > 0 and self.column + width > self.columns
        self.column = min(self.column + width, self.columns)

    def below(self, count: int) -> int:
        """A number of rows down, at most the last row of the region, where the text scrolls."""
        last = self.bottom if self.row <= self.bottom else self.rows
        return min(self.row + count, last)

    def above(self, count: int) -> int:
        """A number of rows up, at most the first row of the region."""
        first = self.top if self.row >= self.top else 1
        return max(self.row - count, first)

    def region(self, top: int = 1, bottom: int = 0) -> None:
        """Set the rows that scroll (DECSTBM); ignored if they are not a region."""
        bottom = min(bottom or self.rows, self.rows)
        if top < bottom:
            self.top, self.bottom = top, bottom

    def save(self) -> None:
        self._saved = (self.row, self.column)

    def restore(self) -> None:
        self.to(*self._saved)


#: The movements of the cursor by the final byte of CSI, with its first and second number.
MOVES: dict[str, Callable[[Cursor, int, int], None]] = {
    "A": lambda at, n, _: at.to(at.above(n), at.column),
    "B": lambda at, n, _: at.to(at.below(n), at.column),
    "C": lambda at, n, _: at.to(at.row, at.column + n),
    "D": lambda at, n, _: at.to(at.row, at.column - n),
    "E": lambda at, n, _: at.to(at.below(n), 1),
    "F": lambda at, n, _: at.to(at.above(n), 1),
    "G": lambda at, n, _: at.to(at.row, n),
    "H": lambda at, n, m: at.to(n, m),
    "I": lambda at, n, _: at.to(at.row, ((at.column - 1) // TAB + n) * TAB + 1),
    "L": lambda at, *_: at.to(at.row, 1),
    "M": lambda at, *_: at.to(at.row, 1),
    "Z": lambda at, n, _: at.to(at.row, ((at.column + TAB - 2) // TAB - n) * TAB + 1),
    "`": lambda at, n, _: at.to(at.row, n),
    "a": lambda at, n, _: at.to(at.row, at.column + n),
    "d": lambda at, n, _: at.to(n, at.column),
    "e": lambda at, n, _: at.to(at.row + n, at.column),
    "f": lambda at, n, m: at.to(n, m),
}
