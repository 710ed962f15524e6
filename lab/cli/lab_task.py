"""A task with what its help page shows: words, options and an example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from invoke.tasks import Task

from lab.model import ARCHITECTURES

#: Short options: the same letter means the same everywhere. None of them changes labs.lock.
SHORT = {
    "all": "a", "clock": "k", "cold": "c", "count": "n", "door": "d", "follow": "f", "json": "j",
    "labs": "l", "on": "o", "timeout": "t",
}  # fmt: skip
#: The value of an option, as help shows it.
VALUES = {
    "address": "ADDRESS",
    "arch": "ARCH",
    "at": "TIME",
    "bad": "COMMIT",
    "before": "TEXT",
    "before_event": "RECORD",
    "clock": "CLOCK",
    "cluster": "ADDRESS",
    "command": "FILE",
    "count": "N",
    "door": "DOOR",
    "export": "FOLDER",
    "folder": "FOLDER",
    "good": "COMMIT",
    "hours": "HOURS",
    "hypervisor": "HYPERVISOR",
    "idle": "SECONDS",
    "into": "FILE",
    "jobs": "N",
    "junit": "FILE",
    "keep": "NUMBERS",
    "key": "FILE",
    "labs": "FILE",
    "lesson": "LESSON",
    "limit": "WORDS",
    "memory": "SIZE",
    "name": "NAME",
    "on": "CONSOLE",
    "only": "WORDS",
    "out": "FILE",
    "port": "N",
    "repeat": "N",
    "rounds": "N",
    "seats": "N",
    "seed": "N",
    "seeds": "N",
    "sha256": "DIGEST",
    "shard": "K/N",
    "source": "TREE",
    "timeout": "SECONDS",
    "to": "FORMAT",
    "verify": "RUN",
    "wheels": "VERSIONS",
    "workers": "N",
}

#: What completion offers for a word or an option. A task's name before it means: of that task only.
KINDS = {
    "arch": "arch",
    "clock": "clock",
    "cluster.worker name": "",
    "command": "file",
    "config": "file",
    "door": "door",
    "export": "file",
    "file": "file",
    "folder": "file",
    "guest": "guest",
    "guest.build name": "guest",
    "hypervisor": "hypervisor",
    "into": "file",
    "junit": "file",
    "key": "file",
    "lab.import name": "",
    "lab.matrix name": "matrix",
    "labs": "file",
    "lesson": "file",
    "name": "lab",
    "on": "console",
    "one": "run",
    "other": "run",
    "out": "file",
    "run": "run",
    "shell": "shell",
    "source": "file",
    "to": "format",
    "verify": "run",
}
#: Help that several tasks share.
LAB = "name of the lab in labs.yaml"
LAB_OR_HELLO = f"{LAB} (default: hello)"
RUN = "latest (the default), a run's id, a folder of runs/, or a lab's name for its latest run"
LABS = "the file that describes the labs (default: labs.yaml)"
JSON = "print the result as JSON"
DOOR = "the toolchain to use: docker, rootfs or host (default: LAB_DOOR, else docker if it answers)"
LOCKED = "fail if a package differs from labs.lock (LAB_LOCKED=1: for every command)"
FORCE = "boot even if the hypervisor and the tools in dom0 have different versions"
_NAMES = [one.xen for one in ARCHITECTURES]
ARCH = f"the architecture: {' or '.join(_NAMES)} (default: what labs.yaml says, else {_NAMES[0]})"
#: How the help of ``--arch`` begins where it is about no lab.
ARCH_OF = (
    f"{' or '.join(_NAMES)} (default: that of all labs of labs.yaml, else {_NAMES[0]}): "
    "the architecture of"
)
CLUSTER = "run on this cluster, not here (default: LAB_CLUSTER, else here)"
JOBS = "run N labs at a time (default: as many as this machine has room for)"
COLD = "boot the lab even if it has a template (LAB_COLD=1: for every command)"


@dataclass(frozen=True)
class About:
    """What help says about a task.

    ``words``: its words in order; ``optional``: those that may be left out; ``help``: each
    word and option by its name; ``example``: a whole command line, without ``./inv``; ``several``:
    whether the last word may come more than once.
    """

    name: str
    words: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    example: str = ""
    help: Mapping[str, str] = field(default_factory=dict)
    several: bool = False

    @property
    def typed(self) -> str:
        """The name as people type it. The task ``all`` of a group has the group's name."""
        return self.name.removesuffix(".all")

    @property
    def usage(self) -> str:
        """``lab.up [NAME]``, ``lab.run [NAME…]``."""
        last = self.words[-1] if self.several else ""
        names = {word: word.upper() + "…" * (word == last) for word in self.words}
        shown = (f"[{names[word]}]" if word in self.optional else names[word]
                 for word in self.words)  # fmt: skip
        return " ".join((self.typed, *shown))


#: Every task by its name, as typed.
TASKS: dict[str, About] = {}


class LabTask(Task[Any]):
    """A task whose short options come from :data:`SHORT`; Invoke takes the first free letter."""

    def __init__(self, body: Any, about: About) -> None:
        # "test.all" is "test" for whoever types it; in its group it is called "all".
        short = about.name.rpartition(".")[2]
        super().__init__(
            body, name=short, positional=about.words, help=dict(about.help), auto_shortflags=False
        )
        self.about = about
        TASKS[about.name] = about

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        opts: dict[str, Any] = super().arg_opts(name, default, taken_names)
        if name in SHORT and not opts["positional"]:
            opts["names"] = [*opts["names"], SHORT[name]]
        return opts
