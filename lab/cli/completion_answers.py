"""The words with which a shell can complete a command line.

A shell's script (:mod:`lab.cli.completion_scripts`) calls ``xenlab --complete SHELL WORD…``. The
last word is the one that is being typed. Each line of the answer is a word, a tab and its meaning.
The line ``:files`` asks the shell to offer file names.

A person is waiting, so this module imports almost nothing of ours. The table of tasks is kept in
the cache. It is made again when the program has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.util import reading, yaml_names
from lab.util.cache_folder import cache_root

FILES = ":files"
#: The words of each kind; kinds that are missing here depend on labs.yaml.
_FIXED = {
    "door": {"auto": "Docker if there is an engine, else rootfs", "docker": "a container",
             "rootfs": "a Debian tree, entered with bubblewrap", "host": "this machine's programs"},
    "arch": {"arm32": "32-bit ARM", "arm64": "64-bit ARM"},
    "clock": {"virtual": "the same run every time", "host": "real time"},
    "format": {"perfetto": "for ui.perfetto.dev", "chrome": "Chrome's trace format", "csv": ""},
    "shell": {"bash": "", "zsh": "", "fish": ""},
}  # fmt: skip
_SECTIONS = {"lab": "labs", "guest": "guests", "matrix": "matrices", "hypervisor": "hypervisors"}
_CORE = {"--help": "all tasks", "--list": "all tasks", "--version": "the version of xenlab"}
Answer = Mapping[str, str]
Table = Mapping[str, Any]


def main(arguments: Sequence[str]) -> None:
    """Answer a shell. If anything goes wrong, the answer is empty, never an error."""
    shell, *words = arguments or ["bash"]
    try:
        found = complete(_joined(words or [""]), tasks())
    except Exception:  # a person is in the middle of a line
        found = {}
    for word, meaning in found.items():
        print(_line(shell, word, meaning))


def complete(words: Sequence[str], table: Table) -> Answer:
    """Each word that can replace the last one, with its meaning."""
    *before, current = words
    if not before:
        known = _CORE if current.startswith("-") else {n: one["help"] for n, one in table.items()}
        return _beginning(known, current)
    if before[-1] in ("--help", "-h"):
        return _beginning({name: one["help"] for name, one in table.items()}, current)
    task = table.get(before[0])
    return _beginning(_in_task(task, before[1:], current), current) if task else {}


def _in_task(task: Table, before: Sequence[str], current: str) -> Answer:
    options = task["options"]
    file, place, waiting = "labs.yaml", 0, ""
    for word in before:
        name, _, value = word.partition("=")
        name = task["short"].get(name, name)
        if waiting:
            file = word if waiting == "--labs" else file
            waiting = ""
        elif name in options:
            file = value if name == "--labs" and value else file
            waiting = name if options[name]["kind"] and not value else ""
        elif not word.startswith("-"):
            place += 1
    if waiting:
        return _kind(options[waiting]["kind"], file)
    if current.startswith("-"):
        name, equals, _ = current.partition("=")
        if equals:
            found = _kind(options[name]["kind"], file) if name in options else {}
            return found if FILES in found else {f"{name}={one}": found[one] for one in found}
        used = {word.partition("=")[0] for word in before}
        return {name: one["help"] for name, one in options.items() if name not in used}
    if task["several"]:
        place = min(place, len(task["words"]) - 1)
    return _kind(task["words"][place], file) if place < len(task["words"]) else {}


def _kind(kind: str, file: str) -> Answer:
    """All words of a kind."""
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == "file":
        return {FILES: ""}
    where = Path(file).expanduser()
    if kind == "console":
        return yaml_names.defined(where, "guests") | {"dom0": "Linux", "xen": "the hypervisor"}
    if kind == "run":
        there = yaml_names.with_runs(where.parent / "runs")
        return {"latest": "the newest of all"} | dict.fromkeys(there, "its newest run")
    return yaml_names.defined(where, _SECTIONS[kind]) if kind in _SECTIONS else {}


def _beginning(known: Answer, current: str) -> Answer:
    return {
        word: meaning
        for word, meaning in known.items()
        if word.startswith(current) or word == FILES
    }


def _joined(words: Sequence[str]) -> list[str]:
    """The words as typed: bash splits ``--door=rootfs`` into three words."""
    found: list[str] = []
    for word in words:
        if found and (word == "=" or found[-1].endswith("=")) and found[-1].startswith("--"):
            found[-1] += word
        else:
            found.append(word)
    return found


def _line(shell: str, word: str, meaning: str) -> str:
    """An answer in the form that the shell's script reads."""
    if word == FILES:
        return word
    meaning = " ".join(meaning.split())
    if shell == "bash":  # which replaces only what is behind the "="
        return word.partition("=")[2] if word.startswith("--") and "=" in word else word
    if shell == "zsh":
        return f"{word.replace(':', chr(92) + ':')}:{meaning}" if meaning else word
    return f"{word}\t{meaning}" if meaning else word


def tasks() -> Table:
    """All tasks by name: their help, the kinds of their words, their options."""
    file = cache_root() / "completion.json"
    key = _key()
    try:
        kept = reading.json_file(file)
        if kept["key"] == key:
            found: Table = kept["tasks"]
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    from lab.cli import completion_table

    made = completion_table.table()
    completion_table.keep(file, {"key": key, "tasks": made})
    return made


def _key() -> str:
    """Changes whenever the program does: its files and their times."""
    here = Path(__file__).parent
    return f"{here} {sorted((one.name, one.stat().st_mtime_ns) for one in here.glob('*.py'))}"
