"""Reads the assignments of an ImageBuilder configuration.

ImageBuilder runs the file with bash (``. $CFG_FILE`` in scripts/uboot-script-gen). Here it is only
read: ``NAME=value`` and ``NAME[0]=value``, with bash's rules for quotes, comments and line ends
(bash(1), "QUOTING"). Everything else in the file is an error at its place.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from lab.config.imported.found import Given
from lab.config.yaml_source import Mark, Source
from lab.util.terminal import quote

#: A variable: its name, and its index if it has one.
Key: TypeAlias = tuple[str, int | None]

_BETWEEN = re.compile(r"(?:[ \t\r\n;]|\\\n|#[^\n]*)*")
_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_]\w*)(?:\[([0-9]{1,4})\])?=")
_OTHER = re.compile(r"[A-Za-z_]\w*(\[[^]\n]*\])?\+?=")
_REST_OF_LINE = re.compile(r"[^\n]*")
#: A piece of a word: in single quotes, in double quotes, after a backslash, plain, or a ``$``.
_PIECE = re.compile(
    r"""'[^']*' | "(?:[^"\\]|\\.)*" | \\. | [^\s'"\\;&|<>()$`]+
    | \$(?:\{[^}\n]*\}|\w*) | `[^`]*`""",
    re.VERBOSE | re.DOTALL,
)
_EXPANSION = re.compile(r"\$\{[^}\n]*\}|\$\w+|\$\(|`")
_ESCAPED = re.compile(r'\\(["\\$`\n])')


def read(source: Source, text: str) -> dict[Key, Given]:
    """The variables that the file sets. If it sets one twice, the last value counts.

    What is no assignment is added to ``source`` as a problem.
    """
    found: dict[Key, Given] = {}
    at = 0
    while (at := _end(_BETWEEN, text, at)) < len(text):
        match = _NAME.match(text, at)
        if not match:
            at = _refuse(source, text, at)
            continue
        index = None if match[2] is None else int(match[2])
        value, expansion, end = _word(text, match.end())
        if end < len(text) and text[end] not in " \t\r\n;":
            at = _refuse(source, text, end)
            continue
        found.pop((match[1], index), None)
        found[match[1], index] = Given(value, _mark(text, at), expansion)
        at = end
    return found


def _word(text: str, at: int) -> tuple[str, str, int]:
    """The word that begins at ``at``: its value, what a shell would expand in it, its end."""
    parts, expansion = [], ""
    while match := _PIECE.match(text, at):
        value, found = _piece(match[0])
        parts.append(value)
        expansion = expansion or found
        at = match.end()
    return "".join(parts), expansion, at


def _piece(piece: str) -> tuple[str, str]:
    if piece.startswith("'"):
        return piece[1:-1], ""
    if piece.startswith("\\"):
        return piece[1:].replace("\n", ""), ""
    if piece.startswith('"'):
        inside = piece[1:-1]
        bare = _ESCAPED.sub("", inside)
        value = _ESCAPED.sub(lambda match: match[1].replace("\n", ""), inside)
        expands = _EXPANSION.search(bare)
        return value, expands[0] if expands else ""
    return piece, piece if piece[:1] in "$`" and len(piece) > 1 else ""


def _refuse(source: Source, text: str, at: int) -> int:
    """Add a problem for what stands at ``at``; returns the end of its line."""
    rest = _REST_OF_LINE.match(text, at)
    line = (rest[0] if rest else "").strip()
    end = rest.end() if rest else len(text)
    first = line[:1]
    if first in ("'", '"', "`"):
        words = f"the {first} is never closed"
    elif first in ("&", "|", "<", ">", "(", ")", "$"):
        words = (
            f"{quote(first)} needs a shell, and the file is read, not run; write the plain value"
        )
    elif _OTHER.match(line):
        words = f"{quote(line[:40])}: only NAME=value and NAME[0]=value are read"
    else:
        what = line.split()[0][:40] if line.split() else line
        words = f"{quote(what)} is no assignment, and the file is read, not run; take it out"
    source.add_at(_mark(text, at), words)
    return end


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _mark(text: str, at: int) -> Mark:
    return Mark(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
