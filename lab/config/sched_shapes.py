"""The shape of ``scheduler:`` in labs.yaml."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator

from lab.config import units
from lab.config.scalars import STRICT, Cpu, Flag, Seconds, Text, scalar
from lab.config.sched import PARAMETERS


class Scheduling(BaseModel):
    """A domain's share under the scheduler ``name`` (default: the lab's)."""

    model_config = STRICT

    name: Annotated[str, scalar(units.one_of(*PARAMETERS), "a word")] | None = None
    period: Seconds | None = None
    budget: Seconds | None = None
    extratime: Flag | None = None
    weight: Annotated[int, scalar(units.count(1, 65535), "a number")] | None = None
    cap: Annotated[int, scalar(units.count(0, 800), "a number of percent")] | None = None


class Window(BaseModel):
    """A window of arinc653's schedule: ``runtime`` for one vCPU of a domain."""

    model_config = STRICT

    domain: Text
    runtime: Seconds
    vcpu: Cpu = 0


class LabScheduling(Scheduling):
    """The lab's scheduler: also the schedule of arinc653."""

    frame: Seconds | None = None
    windows: list[Window] | None = None


def _named(value: Any) -> Any:
    """``scheduler: rtds`` is short for ``scheduler: {name: rtds}``."""
    return {"name": value} if isinstance(value, str) else value


Scheduler = Annotated[Scheduling, BeforeValidator(_named)]
LabScheduler = Annotated[LabScheduling, BeforeValidator(_named)]
