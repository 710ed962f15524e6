"""A terminal that records what only its owner may do to it: `pyte`, as an oracle."""

from __future__ import annotations

import re
from typing import Any

import pyte
from pyte import modes

ROWS, COLUMNS = 24, 80
#: All that may begin with ESC.
ALLOWED = re.compile(
    r"\x1b(?:\[[0-9;]{0,160}[@-HJ-MPSTXZ`adefmrI]|\[\?(?:1|7|25|1049|2004)[hl]|\[4[hl]|[78=>DEM])"
)


def noted(what: str) -> Any:
    """A method that only records that it was called."""
    return lambda self, *_, **__: self.harm.append(what)


class Watched(pyte.Screen):
    """A terminal that records what only its owner may do to it."""

    def __init__(self) -> None:
        self.harm: list[str] = []
        super().__init__(COLUMNS, ROWS)

    set_title = set_icon_name = noted("title")
    write_process_input = noted("answer")
    define_charset = shift_in = shift_out = noted("character set")
    set_tab_stop = clear_tab_stop = noted("tabs")
    alignment_display = noted("a test of the screen")

    def set_mode(self, *numbers: int, **how: Any) -> None:
        known = {1, 7, 25, 1049, 2004} if how.get("private") else {4, modes.DECAWM}
        self.harm += [f"mode {number}" for number in numbers if number not in known]
        super().set_mode(*numbers, **how)


def seen(text: str) -> Watched:
    """A terminal after it was shown this."""
    screen = Watched()
    stream = pyte.Stream(screen)
    stream.use_utf8 = False  # such a terminal switches no character sets
    stream.feed(text)
    return screen


def harm(text: str) -> list[str]:
    """What this text does to a terminal beyond what a console may do."""
    rest = {char for char in ALLOWED.sub("", text) if not char.isprintable()} - set("\r\n\b\t\a")
    return [*seen(text).harm, *map(repr, rest)]
