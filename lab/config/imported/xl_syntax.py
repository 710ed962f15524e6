"""Reads a configuration of ``xl`` as ``xl`` does: keys with texts, numbers and lists.

The grammar is that of tools/libs/util/libxlu_cfg_l.l and libxlu_cfg_y.y in Xen's source. It looks
like Python, and is not: no expression, no function, no variable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lab.config.imported.found import Given
from lab.config.yaml_source import MAX_DEPTH, Mark, Source
from lab.util.terminal import quote

_TOKEN = re.compile(
    r"""(?P<newline>\n|\#[^\n]*(?:\n|$)) | (?P<space>[ \t\r]+)
    | (?P<name>[a-z][._0-9a-z]*(?![A-Z_])) | (?P<number>[0-9][0-9a-fx]*)
    | (?P<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    | (?P<mark>\+=|[\[\],=;]) | (?P<wrong>[^ \t\n]+)""",
    re.VERBOSE,
)
#: xlu__cfgl_dequote of libxlu_cfg.c.
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)")
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    mark: Mark


class _Refused(Exception):
    """A statement that ``xl`` does not read."""

    def __init__(self, token: _Token, words: str) -> None:
        super().__init__(words)
        self.token = token
        self.words = words


def read(source: Source, text: str) -> dict[str, Given]:
    """The keys and values of the file. Values are texts, or lists of values.

    A statement that ``xl`` does not read is added to ``source`` as a problem.
    """
    found: dict[str, Given] = {}
    reader = _Reader(_tokens(text))
    while reader.next.kind != "end":
        try:
            if not reader.take("newline", ";"):
                _assignment(reader, found)
        except _Refused as refused:
            source.add_at(refused.token.mark, refused.words)
            reader.skip_line()
    return found


def _assignment(reader: _Reader, found: dict[str, Given]) -> None:
    name = reader.expect("name", "a key in small letters")
    operator = reader.expect("= +=", f"'=' after {quote(name.text)}")
    value = reader.value(0)
    if reader.next.kind not in ("newline", "end") and reader.next.text != ";":
        raise reader.refuse("the end of the line")
    before = found.get(name.text)
    if operator.text == "+=" and before and type(before.value) is type(value):
        value = before.value + value
    found[name.text] = Given(value, name.mark)


class _Reader:
    """Goes through the tokens of a file."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._at]

    def take(self, *wanted: str) -> _Token | None:
        """The next token if its kind or text is wanted."""
        token = self.next
        if token.kind != "end" and (token.kind in wanted or token.text in wanted):
            self._at += 1
            return token
        return None

    def expect(self, wanted: str, words: str) -> _Token:
        """The next token; ``wanted``: its kind, or the texts that it may have."""
        token = self.take(*wanted.split())
        if token is None:
            raise self.refuse(words)
        return token

    def refuse(self, wanted: str) -> _Refused:
        token = self.next
        here = {"newline": "the line ends", "end": "the file ends"}.get(token.kind, "")
        here = here or f"{quote(token.text[:40])} is"
        return _Refused(token, f"{here} where xl wants {wanted}")

    def skip_line(self) -> None:
        while self.next.kind not in ("newline", "end"):
            self._at += 1

    def value(self, depth: int) -> Any:
        if token := self.take("text"):
            return _unquoted(token)
        if token := self.take("number"):
            return token.text
        if depth > MAX_DEPTH or not self.take("["):
            raise self.refuse("a text in quotation marks, a number or a list")
        return self._list(depth)

    def _list(self, depth: int) -> list[Any]:
        items: list[Any] = []
        self._lines()
        while not self.take("]"):
            if items:
                self.expect(",", "',' or ']'")
                self._lines()
                if self.take("]"):
                    break
            items.append(self.value(depth + 1))
            self._lines()
        return items

    def _lines(self) -> None:
        while self.take("newline"):
            pass


def _tokens(text: str) -> list[_Token]:
    found = []
    line, start = 1, 0
    for match in _TOKEN.finditer(text):
        mark = Mark(line, match.start() - start + 1)
        if match.lastgroup not in ("space", None):
            found.append(_Token(str(match.lastgroup), match[0], mark))
        if "\n" in match[0]:
            line, start = line + 1, match.end()
    return [*found, _Token("end", "", Mark(line, len(text) - start + 1))]


def _unquoted(token: _Token) -> str:
    def letter(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 3 and code[0] == "x":
            return chr(int(code[1:], 16))
        if code.isdecimal():
            return chr(int(code, 8))
        if code not in _LETTERS and code not in "\"'\\":
            raise _Refused(token, f"{quote(match[0])} is no escape that xl knows")
        return _LETTERS.get(code, code)

    return _ESCAPE.sub(letter, token.text[1:-1])
