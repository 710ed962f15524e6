"""Filters what a guest sends to a person's terminal: text and harmless sequences pass.

It is a state machine over a stream that may come in any pieces, and it holds back a bounded part.
Sequences that pass are written anew from the numbers that were read; nothing is copied. So whatever
a guest sends, a terminal only sees:

- text, with CR, LF, BS, TAB and BEL;
- colours and other attributes (SGR); cursor movement, erasing, inserting, deleting, scrolling;
- the region that scrolls, insert mode, and the private modes in ``_MODES``: the other screen,
  a cursor that is hidden, keys as full-screen programs want them.

Questions never reach the terminal. :meth:`ScreenFilter.answers` has the answers for the guest.
Character sets are not switched in the terminal either: DEC's line drawing becomes Unicode here.
Everything else is shown as text: titles and other strings (OSC, DCS, APC, PM, SOS), reports and
changes of windows, C1 controls of 8 bits.

Numbers and letters of sequences: ECMA-48, and ``ctlseqs`` of xterm.
"""

from __future__ import annotations

import codecs
import re

from lab.util.cursor import MOVES, Cursor
from lab.util.terminal import INVISIBLE, escape_char

#: A sequence with more characters of numbers is text; larger numbers become ``_LARGEST``.
_LONGEST, _LARGEST = 80, 9999
_CSI = rf"\[(?P<private>[<=>?]?)(?P<numbers>[0-9:;]{{0,{_LONGEST}}})(?P<between>[ -/]{{0,2}})"
_SEQUENCE = re.compile(
    rf"\x1b(?:{_CSI}(?P<final>[@-~])|(?P<set>[()*+%#])(?P<name>[ -~])|(?P<single>[78=>DEHMcZ]))"
)
_BEGUN = re.compile(rf"\x1b(?:{_CSI}|[()*+%#])?$")
_PIECES = re.compile("([\x0e\x0f])")

#: Private modes that pass (DECSET, DECRST), with their first state in a terminal.
_MODES = {1: False, 7: True, 25: True, 1049: False, 2004: False}
#: The numbers of the alternate screen; it has had several.
_SCREEN, _SCREENS = 1049, (47, 1047, 1049)
_INSERT = 4
_WRAP = 7
#: Sequences that only move text; and sequences whose number is limited, with the limit.
_QUIET = "@PXST"
_ERASE = {"J": 2, "K": 2}
#: How many numbers a sequence can have, if more than one.
_COUNTS = {"m": 32, "H": 2, "f": 2, "r": 2}
#: Full-screen programs store and restore the window's title (final byte t); both are dropped.
_TITLES = (22, 23)
#: Private sequences that ask, or set what a console does not need; they are dropped.
_LEFT_OUT = "JKScfhlmnpqrsuxt"
#: Controls that pass.
_CONTROLS = dict.fromkeys(map(ord, "\r\n\b\t\a"))
#: DEC's special graphics, from ``_`` to ``~``.
_GRAPHICS = str.maketrans("_`abcdefghijklmnopqrstuvwxyz{|}~", " ◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")
#: The most answers that are kept.
_MOST_ANSWERS = 16
#: Our answer to the question which terminal this is: a VT102.
_ATTRIBUTES, _FINE = b"\x1b[?6c", b"\x1b[0n"


class ScreenFilter:
    """Turns the bytes of a guest into output for a terminal of this size."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self.cursor = Cursor(max(1, rows), max(1, columns))
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._rest = ""
        self._answers: list[bytes] = []
        self._modes: dict[int, bool] = {}
        self._touched: set[str] = set()
        self._forget()

    def _forget(self) -> None:
        """Reset the character sets."""
        self._sets = {"(": "B", ")": "B"}
        self._shift = "("
        self._last = " "

    def feed(self, data: bytes) -> str:
        """The harmless output for these bytes. An incomplete sequence waits for its rest."""
        text = self._rest + self._decoder.decode(data)
        begun = _BEGUN.search(text)
        self._rest = begun.group() if begun else ""
        return self._shown(text[: begun.start()] if begun else text)

    def flush(self) -> str:
        """The incomplete sequence that was held back, as text, because its rest does not come."""
        text = self._rest + self._decoder.decode(b"", final=True)
        self._rest = ""
        return self._text(text)

    def answers(self) -> bytes:
        """The answers to the guest's questions; each is returned once."""
        found = b"".join(self._answers)
        self._answers.clear()
        return found

    def restore(self) -> str:
        """The sequences that restore the terminal and clear everything below the cursor."""
        self._forget()
        ends = [self._mode(mode, _MODES[mode]) for mode in sorted(self._modes, reverse=True)]
        if "insert" in self._touched:
            ends.append("\x1b[4l")
        if "region" in self._touched:
            ends.append("\x1b7\x1b[r\x1b8")  # it moves the cursor
        if "keypad" in self._touched:
            ends.append("\x1b>")
        if "attributes" in self._touched:
            ends.append("\x1b[m")
        if "moved" in self._touched:
            ends.append("\x1b[J")
        self._touched.clear()
        self._modes.clear()
        return "".join(ends)

    # ------------------------------------------------------------ text

    def _shown(self, text: str) -> str:
        shown = []
        end = 0
        for match in _SEQUENCE.finditer(text):
            shown += [self._text(text[end : match.start()]), self._sequence(match)]
            end = match.end()
        return "".join([*shown, self._text(text[end:])])

    def _text(self, text: str) -> str:
        shown = []
        for piece in filter(None, _PIECES.split(text)):
            if piece in ("\x0e", "\x0f"):
                self._shift = ")" if piece == "\x0e" else "("
                continue
            if self._sets[self._shift] == "0":
                piece = piece.translate(_GRAPHICS)
            shown.append(_harmless(piece))
            self._last = next(filter(str.isprintable, reversed(piece)), self._last)
        whole = "".join(shown)
        self.cursor.write(whole)
        return whole

    # ------------------------------------------------------------ sequences

    def _sequence(self, match: re.Match[str]) -> str:
        if match["set"]:
            if match["set"] in self._sets:
                self._sets[match["set"]] = match["name"]
            return ""
        if match["single"]:
            return self._single(match["single"])
        passed = self._csi(match)
        return self._text(match.group()) if passed is None else passed

    def _single(self, what: str) -> str:
        """ESC and one character."""
        cursor = self.cursor
        if what == "c":  # a reset and an empty screen
            cursor.region()
            cursor.to(1, 1)
            whole = self.restore() + "\x1b[H\x1b[2J"
            self._touched.add("moved")
            return whole
        if what == "Z":
            self._answer(_ATTRIBUTES)
        if what in "ZH":  # not H: tab stops would stay behind
            return ""
        if what in "=>":
            self._touched.add("keypad")
        elif what in "DE":
            cursor.to(cursor.below(1), 1 if what == "E" else cursor.column)
        elif what == "M":
            self._touched.add("moved")
            cursor.to(cursor.above(1), cursor.column)
        else:
            self._saving(what == "7")
        return f"\x1b{what}"

    def _saving(self, save: bool) -> None:
        if save:
            self.cursor.save()
        else:
            self._touched.add("moved")
            self.cursor.restore()

    def _csi(self, match: re.Match[str]) -> str | None:
        """The sequence to pass on; ``None``: show it as text."""
        private, final = match["private"], match["final"]
        if ":" in match["numbers"]:
            return "" if final == "m" else None
        numbers = [_number(word) for word in match["numbers"].split(";")]
        if match["between"] or private:
            if private == "?" and final in "hl" and not match["between"]:
                return "".join(self._mode(number or 0, final == "h") for number in numbers)
            return "" if final in _LEFT_OUT else None
        if final in "cn":
            return self._asked(final, numbers[0] or 0)
        if final in "hl":
            return self._insert(final == "h") if numbers == [_INSERT] else ""
        return self._plain(final, numbers)

    def _asked(self, final: str, number: int) -> str:
        if final == "c" and not number:
            self._answer(_ATTRIBUTES)
        elif final == "n" and number == 5:
            self._answer(_FINE)
        elif final == "n" and number == 6:
            self._answer(f"\x1b[{self.cursor.row};{self.cursor.column}R".encode())
        return ""

    def _answer(self, words: bytes) -> None:
        if len(self._answers) < _MOST_ANSWERS:
            self._answers.append(words)

    def _mode(self, mode: int, on: bool) -> str:
        mode = _SCREEN if mode in _SCREENS else mode
        if mode not in _MODES or (mode == _SCREEN and on == self._modes.get(mode, False)):
            return ""
        self._modes[mode] = on
        if mode == _SCREEN:
            self._touched.add("moved")
            self._saving(on)
        if mode == _WRAP:
            self.cursor.wraps = on
        return f"\x1b[?{mode}{'h' if on else 'l'}"

    def _insert(self, on: bool) -> str:
        self._touched.add("insert")
        return f"\x1b[4{'h' if on else 'l'}"

    def _plain(self, final: str, numbers: list[int | None]) -> str | None:
        if final == "b":
            return self._text(self._last * min(numbers[0] or 1, self.cursor.columns))
        if final in "su":
            return self._single("7" if final == "s" else "8") if numbers == [None] else ""
        if final == "g" or (final == "t" and numbers[0] in _TITLES):
            return ""
        if len(numbers) > _COUNTS.get(final, 1):
            return None
        if final in _ERASE:
            if (numbers[0] or 0) > _ERASE[final]:
                return ""  # the terminal's scrollback belongs to the person
            self._touched.add("moved")
        elif final == "m":
            self._touched.add("attributes")
        elif final == "r":
            self._touched |= {"region", "moved"}
            self._region(numbers)
        elif final in MOVES:
            self._touched.add("moved")
            MOVES[final](self.cursor, numbers[0] or 1, (*numbers, None)[1] or 1)
        elif final not in _QUIET:
            return None
        return f"\x1b[{';'.join('' if n is None else str(n) for n in numbers)}{final}"

    def _region(self, numbers: list[int | None]) -> None:
        top, bottom = (numbers[0] or 1), ((*numbers, None)[1] or 0)
        self.cursor.region(top, bottom)
        self.cursor.to(1, 1)


def _number(word: str) -> int | None:
    return min(int(word), _LARGEST) if word else None


def _harmless(text: str) -> str:
    if text.translate(_CONTROLS).isprintable() and not INVISIBLE.search(text):
        return text
    return "".join(char if ord(char) in _CONTROLS else escape_char(char) for char in text)
