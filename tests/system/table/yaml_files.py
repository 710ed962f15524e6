"""labs.yaml files that are broken in many ways: malformed, huge, deep, out of bounds, misnamed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

from lab import config, rundir
from lab import plan as planning
from lab.errors import ConfigError, UsageError
from lab.machine import qemu_command
from system.world import ROOT, World

Change = Callable[[str, random.Random], str]

NAMES = (
    "a,b", "a/b", "../x", "/etc/passwd", "-x", "--json", "", " ", ".", "..", "A", "é", "\u202e",
    "xen", "dom0", "latest", "a" * 300, "a\\0b", "a\\nb", "$(id)", "`id`", "a;b", "a b", "a=b",
    "name,id=x", "locks", "%s", "{}", "*x", "&x", "!x", "~", "null", "1e9", "0x10", "true",
)  # fmt: skip
PATHS = (
    "../../../../etc/shadow", "/proc/self/mem", "/dev/zero", "/dev/stdin", "//", "images/../..",
    "images/\\0", "~root", "file:///etc/passwd", "x" * 5000, "/" * 5000, "./" * 2000 + "labs.yaml",
)  # fmt: skip


def broken(world: World, number: int) -> None:
    """The file gives an error at file:line:column, or a lab whose names and paths all stay
    inside."""
    rng = random.Random(number)
    folder = world.folder / "yaml"
    if not folder.exists():
        folder.mkdir()
        (folder / "images").symlink_to(ROOT / "images")
    text = (ROOT / "labs.yaml").read_text()
    text = _short(text, rng) if number % 3 else text
    for _ in range(1 + number % 3):
        text = rng.choice(CHANGES)(text, rng)
    file = folder / "labs.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    before = _listing(folder)
    try:
        _inside(file)
    except ConfigError as error:
        words = error.message
        place = re.match(r"(?:.*/)?labs\.yaml:\d+:\d+: ", words)
        assert place, f"no place: {words[:300]!r}"
        assert words.replace("\n", "").replace("\t", "").isprintable(), f"{words[:300]!r}"
        assert len(words) < 20_000, "a screenful says it, too"
    assert _listing(folder) == before, "something was written"


def _listing(folder: Path) -> list[Path]:
    return sorted([*folder.parent.iterdir(), *folder.iterdir()])


def _inside(file: Path) -> None:
    """Check for an accepted file where its things would be put, and what QEMU would be told."""
    labs = config.load(file)
    runs = file.parent / "runs"
    for name, lab in labs.labs.items():
        assert (runs / name).resolve().parent == runs.resolve()
        assert rundir.lab_dir(runs, name).path.parent == rundir.runtime_root()
        try:
            plan = planning.plan(lab)
        except UsageError:
            continue
        for word in qemu_command.qemu(plan, "tag"):
            assert "\0" not in word
        for guest in plan.guests:
            assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", guest.name)
            assert "\n" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", guest.config.replace("\n", " "))


def _short(text: str, rng: random.Random) -> str:
    """A small but complete labs.yaml: one guest and one lab."""
    del text
    guest = "guests:\n  hello:\n    freertos: images/freertos/apps/hello\n    memory: 16M\n"
    line = rng.choice(('line: "x"', "regex: 'x+'"))
    return f"{guest}labs:\n  one:\n    guests: [hello]\n    expect: [{{on: hello, {line}}}]\n"


def _name(text: str, rng: random.Random) -> str:
    """Replace a name by another."""
    found = [*re.finditer(r"[a-z0-9][a-z0-9-]*(?=:)|hello", text)]
    return _put(text, rng.choice(found), rng.choice(NAMES)) if found else text


def _value(text: str, rng: random.Random) -> str:
    """Replace a value by another one, or by a path that leads outside."""
    found = [*re.finditer(r"(?<=: )[^\n{\[]+", text)]
    return _put(text, rng.choice(found), rng.choice(NAMES + PATHS)) if found else text


def _put(text: str, at: re.Match[str], what: str) -> str:
    return text[: at.start()] + what + text[at.end() :]


def _noise(text: str, rng: random.Random) -> str:
    """Insert, remove and replace characters."""
    for _ in range(rng.randrange(1, 20)):
        at = rng.randrange(len(text) + 1)
        more = chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x11_0000), 10, 9, 0)))
        text = text[:at] + rng.choice((more, "")) + text[at + rng.randrange(3) :]
    return text


def _lines(text: str, rng: random.Random) -> str:
    """Repeat, remove or re-indent lines."""
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    at = rng.randrange(len(lines))
    other = rng.choice((lines[at] * 2, "", " " * rng.randrange(8) + lines[at], lines[at].lstrip()))
    return "".join([*lines[:at], other, *lines[at + 1 :]])


def _deep(text: str, rng: random.Random) -> str:
    """Nested a thousand times."""
    depth = rng.randrange(10, 3000)
    return text + rng.choice(("\nx: " + "[" * depth, "\nx: " + "{a: " * depth, "\n" + "- " * depth))


def _bomb(text: str, rng: random.Random) -> str:
    """Aliases of aliases."""
    width = rng.randrange(2, 12)
    levels = [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * width)}]" for n in range(9)]
    return "a0: &a0 [x]\n" + "\n".join(levels) + "\n" + text


def _huge(text: str, rng: random.Random) -> str:
    """Very many labs, a very long line, or a very long comment."""
    many = rng.randrange(1000, 40_000)
    labs = "".join(f"  l{n}: {{guests: [hello]}}\n" for n in range(many // 20))
    return text + rng.choice((labs, "#" * many * 10, f"\nx: {'y' * many}\n"))


CHANGES: tuple[Change, ...] = (_name, _name, _value, _value, _noise, _lines, _deep, _bomb, _huge)
