"""The shapes of ``channels`` and ``shared_memory`` of a lab in labs.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel

from lab.config import units
from lab.config.scalars import FIRST_PORT, LAST_PORT, STRICT, Address, Name, Size, Text, scalar


class Channel(BaseModel):
    """A static event channel between two guests that Xen boots."""

    model_config = STRICT

    port: Annotated[int, scalar(units.count(FIRST_PORT, LAST_PORT), "a number")]
    guests: list[Text]


class SharedMemory(BaseModel):
    """A part of the machine's memory that several guests see."""

    model_config = STRICT

    name: Name
    address: Address
    size: Size
    guests: list[Text]
