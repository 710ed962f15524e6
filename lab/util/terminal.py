"""Makes untrusted text harmless for a terminal, and formats plain tables.

A guest's output can contain anything: escape sequences that type a command, characters that reorder
or hide text, megabytes without a line end. :func:`escape` shows all of it as text.
:mod:`lab.util.screen` filters a console for a person's own terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: The most characters (of text) or bytes (of raw output) of a line that are shown.
LINE_LIMIT = 2000

#: Characters that Unicode calls printable but that are invisible: fillers, joiners and variation
#: selectors.
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def escape(value: bytes | str, *, limit: int = LINE_LIMIT) -> str:
    """One line as harmless text.

    Characters that are not plainly visible become ``\\xNN`` or ``\\uNNNN``. Tabs stay. Line ends
    are escaped as well. Bytes that are not UTF-8 become ``\\xNN``. A line longer than ``limit``
    (bytes or characters of the input) is cut, and the text says by how much. Backslashes of the
    input are not changed: the raw bytes are in the run folder.
    """
    cut = len(value) - limit
    if cut > 0:
        unit = "bytes" if isinstance(value, bytes) else "characters"
        value, cut = _cut(value, limit)
        return f"{_escape(value)} … [{cut} more {unit}]"
    return _escape(value)


def escape_lines(value: bytes | str, *, last: int | None = None) -> str:
    """Several lines, each escaped; only the ``last`` ones if given. Line ends stay."""
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    kept = lines if last is None else lines[max(0, len(lines) - last) :]
    return "\n".join(escape(line.rstrip("\r")) for line in kept)


def quote(value: str, *, limit: int = 60) -> str:
    """A user's text inside a sentence: escaped, short, in quotation marks."""
    return f"'{escape(value, limit=limit)}'"


def title(value: str, *, limit: int = 80) -> str:
    """A name as harmless text, cut to ``limit`` characters of the input."""
    return escape(value) if len(value) <= limit else f"{escape(value[: limit - 2])} …"


def paragraphs(*texts: str) -> str:
    """Texts with an empty line between them; those that are empty are left out."""
    return "\n\n".join(filter(None, texts))


def table(rows: Iterable[Sequence[object]], *, header: Sequence[str] = ()) -> str:
    """Aligned columns for standard output: numbers to the right, no trailing blanks."""
    cells = [[str(cell) for cell in row] for row in ([header] if header else [])]
    numeric: list[Sequence[object]] = list(rows)
    cells += [[str(cell) for cell in row] for row in numeric]
    if not cells:
        return ""
    count = max(len(row) for row in cells)
    widths = [max((len(row[i]) for row in cells if i < len(row)), default=0) for i in range(count)]
    right = [_all_numbers(numeric, i) for i in range(count)]
    return "\n".join(_row(row, widths, right) for row in cells)


def _row(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = [
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(row, widths, right, strict=False)
    ]
    return "  ".join(parts).rstrip()


def _all_numbers(rows: Sequence[Sequence[object]], column: int) -> bool:
    values = [row[column] for row in rows if column < len(row)]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def _cut(value: bytes | str, limit: int) -> tuple[bytes | str, int]:
    """The first ``limit`` bytes or characters, never half a UTF-8 character; and the length of the
    rest."""
    if isinstance(value, bytes):
        while limit > 0 and value[limit] & 0xC0 == 0x80:
            limit -= 1
    return value[:limit], len(value) - limit


def _escape(value: bytes | str) -> str:
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    if text.isprintable() and not INVISIBLE.search(text):
        return text
    return "".join(map(escape_char, text))


def escape_char(char: str) -> str:
    """One character as :func:`escape` shows it."""
    if char == "\t" or (char.isprintable() and not INVISIBLE.match(char)):
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, PEP 383
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
