"""A whole labs.yaml: hypervisors, guests, labs, and the experiments that compare labs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.model.architecture import Architecture
from lab.model.spec import GuestSpec, HypervisorSpec, Lab


@dataclass(frozen=True)
class Matrix:
    """One experiment: a table of labs, with a lab for each row and column.

    ``archs``: the architectures on which each lab runs; empty: on its own.
    """

    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]
    description: str = ""
    archs: tuple[Architecture, ...] = ()


@dataclass(frozen=True)
class Labs:
    """A whole, checked labs.yaml."""

    file: Path
    hypervisors: Mapping[str, HypervisorSpec]
    guests: Mapping[str, GuestSpec]
    labs: Mapping[str, Lab]
    matrices: Mapping[str, Matrix] = field(default_factory=dict)
