"""Checks the steps of a lesson for a seat, and keeps which of them are passed.

A check is a run of a fresh lab with the seat's own guests, in a file beside the seat's labs.yaml.
So it does not disturb the lab that the participant uses, and what they typed there does not count.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import yaml

from lab import config, rundir
from lab.errors import ConfigError, LabError
from lab.rundir import RunDir
from lab.util import files, reading
from lab.web.classroom import Seat
from lab.web.lesson import Lesson, Step

#: The name of the lab that a check runs.
LAB = "check"
#: Keys of a lab that are its scenario.
SCENARIO = ("steps", "expect", "never", "thresholds")
PASSED, FAILED = "passed", "failed"


def lay(seat: Seat, step: Step) -> Path:
    """Write the labs file of a check: the seat's, whose lab has the scenario of the step.

    Raises:
        OSError: it cannot be written.
    """
    data = yaml.load(reading.data(seat.labs), yaml.BaseLoader)
    (entry,) = data["labs"].values()
    plain = {key: value for key, value in entry.items() if key not in SCENARIO}
    check = yaml.load(step.check, yaml.BaseLoader)
    data["labs"] = {LAB: plain | check}
    files.write_atomic(file(seat), yaml.safe_dump(data, sort_keys=False), durable=False)
    return file(seat)


def file(seat: Seat) -> Path:
    """The labs file of the seat's last check."""
    return seat.folder / "check.yaml"


def last_run(seat: Seat) -> RunDir | None:
    """The run of the seat's last check that had one."""
    return rundir.latest_run(seat.folder / "runs", LAB)


def test(seat: Seat, lesson: Lesson) -> None:
    """Test that every check of a lesson fits the lab of a seat.

    Raises:
        ConfigError: one does not; the message has its place in the lesson.
    """
    for step in lesson.steps:
        if not step.check:
            continue
        try:
            config.find_lab(config.load(lay(seat, step)), LAB)
        except LabError as error:
            words = "; ".join(_without_place(line) for line in error.message.splitlines())
            place = f"{lesson.file}:{step.line}"
            raise ConfigError(f"{place}: the check of this step is wrong: {words}") from error


def progress(seat: Seat) -> dict[str, str]:
    """The steps that were checked, by id: ``passed`` or ``failed``."""
    with contextlib.suppress(OSError, ValueError):
        found: Any = reading.json_file(_file(seat))
        if isinstance(found, dict):
            return {str(step): str(how) for step, how in found.items()}
    return {}


def note(seat: Seat, step: Step, *, passed: bool) -> None:
    """Keep how a check ended. A step that was passed once stays so.

    Raises:
        OSError: it cannot be written.
    """
    known = progress(seat)
    if known.get(step.id) != PASSED:
        known[step.id] = PASSED if passed else FAILED
        files.write_private(_file(seat), json.dumps(known, indent=1) + "\n")


def _file(seat: Seat) -> Path:
    return seat.folder / "progress.json"


def _without_place(line: str) -> str:
    """A line of an error without ``file:line:column:``, which is a place in a file of ours."""
    return line.rpartition("check.yaml:")[2].partition(": ")[2] or line
