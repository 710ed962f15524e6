"""The shape of ``explore`` of a lab in labs.yaml: what an exploration may change."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator

from lab.config import units
from lab.config.scalars import STRICT, Seconds, Text, one_or_more, scalar
from lab.model import Bounds, Variable

#: The most disturbances with a moment of their own that a seed can have.
MOST = 50
Varied = Annotated[str, scalar(units.one_of(*Variable), "a word")]


class Explore(BaseModel):
    """``{vary: [pause, ticks], within: 2s, most: 4, longest: 5ms, neighbour: noisy}``."""

    model_config = STRICT

    vary: Annotated[list[Varied], BeforeValidator(one_or_more)] = list(Variable)
    within: Seconds = Bounds.within
    most: Annotated[int, scalar(units.count(1, MOST), "a number")] = Bounds.most
    longest: Seconds = Bounds.longest
    neighbour: Text | None = None
