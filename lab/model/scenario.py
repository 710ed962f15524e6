"""What a lab is expected to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.model.words import Act


@dataclass(frozen=True)
class Expectation:
    """What must be seen: ``text`` (literal or, if ``regex``, a pattern) on console ``on``.

    ``on`` is ``xen``, ``dom0`` or a guest's name; ``within`` is seconds from the moment at
    which the guests run. ``line`` is where in labs.yaml it stands, from 1.
    """

    on: str
    text: str
    regex: bool = False
    within: float = 30.0
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Step:
    """One step of a scenario; docs/scenarios.md has the meaning of each.

    Attributes:
        on: its console (wait, silent) or guest (type and what is done to a domain).
        text: what is waited for, typed, or executed in dom0; the path that is collected.
        regex: ``text`` of a wait, or ``output`` of an exec, is a pattern.
        output: what an exec must print; empty: anything.
        status: with which status an exec must end.
        within: seconds from the step's start; of a silence how long it lasts.
        name: the file's name of what is collected.
        enter: Enter is pressed after what is typed.
        members: the steps of a parallel group.
        line: where in labs.yaml it stands, from 1.
    """

    do: Act
    on: str = ""
    text: str = ""
    regex: bool = False
    output: str = ""
    status: int = 0
    within: float = 30.0
    name: str = ""
    enter: bool = True
    members: tuple[Step, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Never:
    """What no line may hold for the whole run; ``on`` is empty for every console."""

    text: str
    on: str = ""
    regex: bool = False
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Threshold:
    """A limit to a figure of a task's trace: ``statistic`` (p99, max, …) of ``figure``.

    ``limit`` is seconds, or a number where the figure counts something. ``guest`` is empty if
    any guest's task of that name is meant.
    """

    task: str
    figure: str
    limit: float
    statistic: str = ""
    guest: str = ""
    line: int = field(default=0, compare=False)
