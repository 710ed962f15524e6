"""Command lines that no shell ever sees: split into words, refused if they ask for a shell.

Who writes ``make && make install`` means two commands; without a shell ``make`` would be told to
make ``&&``. What a shell reads as more than a plain word is refused, with what to write instead
(dash(1), "Lexical Structure" and after).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence

from lab.util.terminal import quote

#: What a shell finds outside quotation marks, the longest first.
_OPERATORS = re.compile(
    r"&&|\|\||>>|<<|[0-9]?[<>]&[0-9-]?|[0-9]?[<>]|[;&|()`]"
    r"|\$[({]|\$[A-Za-z_0-9?!@*#$-]+|[*?]|\[[^\]\s]+\]"
    r"|(?:^|(?<=\s))#.*|(?:^|(?<=\s))~[A-Za-z0-9_-]*(?=[/\s]|$)|\n"
)
#: The same between double quotation marks.
_INSIDE = re.compile(r"`|\$[({]|\$[A-Za-z_0-9?!@*#$-]+")
#: A variable for one command, and commands that only a shell has.
_ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_BUILTINS = frozenset([
    ".", "alias", "bg", "case", "cd", "eval", "exec", "exit", "export", "fg", "for", "function",
    "if", "local", "read", "readonly", "return", "set", "shift", "source", "trap", "type", "ulimit",
    "umask", "unalias", "unset", "until", "while", "!", "{", "}",
])  # fmt: skip
#: Operators that nobody gives a program as a word.
_ALONE = frozenset(["&&", "||", "|", ";", "&", ">", ">>", "<", "<<", "2>", "2>&1"])
_PLAIN = re.compile(r"[^'\"\\\n]+")


def split(text: str) -> list[str]:
    """A command line as arguments, by the shell's rules for quotation marks.

    Raises:
        ValueError: a quotation mark does not end, or the line asks for a shell; with words.
    """
    text = text.strip()
    try:
        argv = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{quote(text)}: {str(error).lower()}") from None
    for wish in _wishes(text, argv):
        raise ValueError(f"{wish} wants a shell, and none runs this: write {instead(text)}")
    return argv


def check(argv: Sequence[str]) -> None:
    """Refuse words of which one is a shell's operator and nothing else.

    Raises:
        ValueError: there is one; with words.
    """
    if found := next((word for word in argv if word in _ALONE), ""):
        better = instead(" ".join(argv))
        raise ValueError(f"{quote(found)} wants a shell, and none runs this: write {better}")


def instead(text: str) -> str:
    """What to write in labs.yaml so that a shell reads the line."""
    if _PLAIN.fullmatch(text):
        return f"\"sh -c '{text}'\""
    return f"[sh, -c, {json.dumps(text, ensure_ascii=False)}]"


def _wishes(text: str, argv: list[str]) -> Iterator[str]:
    """What a shell would do more with it than split it into words."""
    for piece in _bare(text):
        yield "a second line" if piece == "\n" else quote(piece, limit=30)
    first = argv[0] if argv else ""
    if _ASSIGNED.match(first) or first in _BUILTINS:
        yield quote(first, limit=30)


def _bare(text: str) -> Iterator[str]:
    """The operators that no quotation mark or backslash hides, in their order."""
    at = 0
    while at < len(text):
        here = text[at]
        if here == "\\":
            at += 2
        elif here == "'":
            at = text.index("'", at + 1) + 1
        elif here == '"':
            end = _closing(text, at)
            yield from _INSIDE.findall(re.sub(r"\\.", "", text[at:end]))
            at = end
        elif match := _OPERATORS.match(text, at):
            yield match[0]
            at = match.end()
        else:
            at += 1


def _closing(text: str, at: int) -> int:
    """Behind the double quotation mark that ends what the one at ``at`` begins."""
    at += 1
    while text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at + 1
