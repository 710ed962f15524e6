"""`lab.console` as a person uses it: a terminal in which one can work, on a real lab."""

from __future__ import annotations

from watched import harm

from system.terminal import Terminal
from system.world import World


def test_console_types_to_the_guest(up: World) -> None:
    """Typed text reaches the guest, its answer is shown, Ctrl-] leaves, and the lab keeps
    running."""
    terminal = Terminal(up, "lab.console", "shared", "--on", "hello")
    terminal.until(b"leave with Ctrl-]")
    terminal.type(b"how are you\r")
    terminal.until(b"you typed: how are you")
    terminal.type(b"\x1d")
    terminal.until(b"left the console")
    assert terminal.end() == 0
    up.run("lab.status", "shared")


def test_console_shows_nothing_hostile(up: World) -> None:
    """Nothing that a guest prints can command the terminal of the person who watches it."""
    up.run("lab.inject", "shared", "mine")
    terminal = Terminal(up, "lab.console", "shared", "--on", "mine")
    terminal.until(rb"\x1b]0;owned")
    terminal.type(b"\x1d")
    terminal.until(b"left the console")
    assert terminal.end() == 0
    for sequence in (b"\x1b]", b"\x1b[6n", b"\x1bP", b"\x9b", b"\x90"):
        assert sequence not in terminal.seen


def test_console_wants_a_terminal(up: World) -> None:
    """Without a terminal or a pipe to read from, the console says so."""
    assert "terminal" in up.run("lab.console", "shared", status=2).err


def shell(up: World, size: tuple[int, int]) -> Terminal:
    """A terminal with dom0's shell, which has printed its prompt."""
    terminal = Terminal(up, "lab.console", "shared", "--on", "dom0", size=size)
    terminal.until(b"leave with Ctrl-]")
    terminal.type(b"\r")
    terminal.until(b"# ")
    return terminal


def test_dom0_has_a_shell_that_edits_lines(up: World) -> None:
    """Arrows, insertion and history work. No prompt is followed by a query to the terminal."""
    terminal = shell(up, (24, 80))
    terminal.type(b"echo one-three\x1b[D\x1b[D\x1b[D\x1b[D\x1b[Dtwo-\r")
    terminal.until(b"\r\none-two-three\r\n")
    terminal.seen = b""
    terminal.type(b"\x1b[A\r")
    terminal.until(b"\r\none-two-three\r\n")
    terminal.type(b"\x1d")
    terminal.until(b"left the console")
    assert terminal.end() == 0
    assert b"[6n" not in terminal.seen
    assert harm(terminal.seen.decode()) == []


def test_dom0_knows_the_size_of_the_window(up: World) -> None:
    """From the start, and after each change. A full-screen program uses all of it."""
    terminal = shell(up, (30, 132))
    _until_size(terminal, b"30 132")
    terminal.resize(50, 200)
    _until_size(terminal, b"50 200")
    terminal.seen = b""
    terminal.type(b"vi /etc/xen/xl.conf\r")
    terminal.until(b"\x1b[50;1H")
    terminal.type(b":q!\r\x1d")
    terminal.until(b"left the console")
    assert terminal.end() == 0
    assert terminal.seen.count(b"\x1b[?1049h") == terminal.seen.count(b"\x1b[?1049l") == 1


def _until_size(terminal: Terminal, size: bytes) -> None:
    """Wait until dom0 knows the size. It learns it through its agent, which may be busy, so this
    may take a moment."""
    script = b"until [ \"$(stty size)\" = '%b' ]; do usleep 9000; done; echo size: ok" % size
    terminal.seen = b""
    terminal.type(script + b"\r")
    terminal.until(b"\r\nsize: ok\r\n")
