"""Texts and regular expressions to search for in lines, in bounded time.

Expressions are Python's, read by the package ``regex``, because it has a timeout: some expressions
take exponential time on some lines, and the guest decides about the lines. Compiling is bounded as
well (:mod:`lab.util.regex_size`).
"""

from __future__ import annotations

import re
import time
import warnings
from typing import TYPE_CHECKING, Protocol, TypeAlias

from lab.errors import UsageError
from lab.util import regex_size
from lab.util.terminal import quote

if TYPE_CHECKING:
    import regex as regex_package

Match: TypeAlias = "re.Match[str] | regex_package.Match[str]"

#: CPU seconds that an expression may take for all lines of a wait: a first amount, and more for
#: each line and each character.
FIRST, EACH_LINE, EACH_CHARACTER = 1.0, 20e-6, 1e-6


class TooSlow(UsageError):
    """A regular expression takes too long. ``line``: its line in labs.yaml."""

    def __init__(self, text: str, line: int, length: int) -> None:
        super().__init__(
            f"the regular expression {quote(text)} takes too long on a line of {length} characters",
            hint="a repetition within a repetition, such as (a+)+, can take for ever: simplify "
            "it, or look for a plain text",
        )
        self.line = line


class Pattern(Protocol):
    """Something to search for in lines."""

    def search(self, text: str, start: int = 0) -> Match | None:
        """The first match from a character on.

        Raises:
            TooSlow: the search takes too long.
        """
        ...


def pattern(text: str, *, regex: bool, line: int = 0) -> Pattern:
    """A pattern from a text or a regular expression. ``line``: its line in labs.yaml.

    Raises:
        ValueError: it is not a regular expression; the message says why.
    """
    return _Expression(text, 0, line) if regex else _Text(text)


def compiled(found: re.Pattern[str]) -> Pattern:
    """The same for a compiled expression.

    Raises:
        ValueError: it is an expression for bytes.
    """
    if not isinstance(found.pattern, str):
        raise ValueError("it is a pattern of bytes")
    return _Expression(found.pattern, found.flags & ~re.DEBUG, 0)


class _Text:
    def __init__(self, text: str) -> None:
        self._pattern = re.compile(re.escape(text))

    def search(self, text: str, start: int = 0) -> Match | None:
        return self._pattern.search(text, start)


class _Expression:
    def __init__(self, text: str, flags: int, line: int) -> None:
        if why := regex_size.too_large(text):
            raise ValueError(why)
        import regex  # slow to load, and most labs have no expression

        self._text, self._line = text, line
        self._left = FIRST
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._pattern = regex.compile(text, flags | regex.VERSION0)
        except (regex.error, OverflowError, RecursionError) as error:
            raise ValueError(str(error)) from error

    def search(self, text: str, start: int = 0) -> Match | None:
        self._left += EACH_LINE + EACH_CHARACTER * len(text)
        began = time.process_time()
        try:
            return self._pattern.search(text, start, timeout=max(self._left, EACH_LINE))
        except TimeoutError as error:
            raise TooSlow(self._text, self._line, len(text)) from error
        finally:
            self._left -= time.process_time() - began
