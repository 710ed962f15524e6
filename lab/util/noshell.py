"""Splits command lines into words without a shell, and refuses lines that need one.

``make && make install`` means two commands; without a shell, ``make`` would try to make ``&&``.
Everything that means more to a shell than a plain word is refused, and the error says what to write
instead (dash(1), "Lexical Structure" and after).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence

from lab.util.terminal import quote

#: The special characters of a shell outside quotation marks, the longest first.
_OPERATORS = re.compile(
    r"&&|\|\||>>|<<|[0-9]?[<>]&[0-9-]?|[0-9]?[<>]|[;&|()`]"
    r"|\$[({]|\$[A-Za-z_0-9?!@*#$-]+|[*?]|\[[^\]\s]+\]"
    r"|(?:^|(?<=\s))#.*|(?:^|(?<=\s))~[A-Za-z0-9_-]*(?=[/\s]|$)|\n"
)
#: The same inside double quotation marks.
_INSIDE = re.compile(r"`|\$[({]|\$[A-Za-z_0-9?!@*#$-]+")
#: What is escaped there, and what of it a shell unescapes but :mod:`shlex` does not.
_ESCAPES = re.compile(r"\\.", re.DOTALL)
_DOLLARS = {"\\$": "$", "\\`": "`", "\\\n": ""}
#: A variable for one command, and commands that exist only in a shell.
_ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_BUILTINS = frozenset([
    ".", "alias", "bg", "case", "cd", "eval", "exec", "exit", "export", "fg", "for", "function",
    "if", "local", "read", "readonly", "return", "set", "shift", "source", "trap", "type", "ulimit",
    "umask", "unalias", "unset", "until", "while", "!", "{", "}",
])  # fmt: skip
#: Operators that are never meant as an argument of a program.
_ALONE = frozenset(["&&", "||", "|", ";", "&", ">", ">>", "<", "<<", "2>", "2>&1"])
_PLAIN = re.compile(r"[^'\"\\\n]+")


def split(text: str) -> list[str]:
    """A command line as arguments, by the shell's rules for quotation marks.

    Raises:
        ValueError: a quotation mark is not closed, or the line needs a shell; the message says so.
    """
    text = text.strip()
    try:
        shlex.split(text)
        argv = shlex.split(_for_shlex(text))
    except ValueError as error:
        raise ValueError(f"{quote(text)}: {str(error).lower()}") from None
    for wish in _wishes(text, argv):
        raise ValueError(f"{wish} needs a shell, but none runs this command; write {instead(text)}")
    return argv


def check(argv: Sequence[str]) -> None:
    """Refuse a list of words if one of them is just an operator of a shell.

    Raises:
        ValueError: there is one; the message says what to write.
    """
    if found := next((word for word in argv if word in _ALONE), ""):
        better = instead(" ".join(argv))
        raise ValueError(
            f"{quote(found)} needs a shell, but none runs this command; write {better}"
        )


def instead(text: str) -> str:
    """What to write in labs.yaml so that a shell runs the line."""
    if _PLAIN.fullmatch(text):
        return f"\"sh -c '{text}'\""
    return f"[sh, -c, {json.dumps(text, ensure_ascii=False)}]"


def _wishes(text: str, argv: list[str]) -> Iterator[str]:
    """The first thing in a line that only a shell can do; empty if there is none."""
    for piece in _bare(text):
        yield "a second line" if piece == "\n" else quote(piece, limit=30)
    first = argv[0] if argv else ""
    if _ASSIGNED.match(first) or first in _BUILTINS:
        yield quote(first, limit=30)


def _bare(text: str) -> Iterator[str]:
    """The operators that are not quoted, in their order."""
    at = 0
    while at < len(text):
        here = text[at]
        if here == "\\":
            at += 2
        elif here == "'":
            at = text.index("'", at + 1) + 1
        elif here == '"':
            end = _closing(text, at)
            yield from _INSIDE.findall(_ESCAPES.sub("", text[at:end]))
            at = end
        elif match := _OPERATORS.match(text, at):
            yield match[0]
            at = match.end()
        else:
            at += 1


def _for_shlex(text: str) -> str:
    """The same line, without the escapes inside double quotation marks that shlex leaves."""
    made, at = "", 0
    while at < len(text):
        end = at + (2 if text[at] == "\\" else 1)
        if text[at] == "'":
            end = text.index("'", at + 1) + 1
        elif text[at] == '"':
            end = _closing(text, at)
            made += _ESCAPES.sub(lambda one: _DOLLARS.get(one[0], one[0]), text[at:end])
            at = end
            continue
        made += text[at:end]
        at = end
    return made


def _closing(text: str, at: int) -> int:
    """The position after the double quotation mark that closes the one at ``at``."""
    at += 1
    while text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at + 1
