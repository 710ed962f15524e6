"""Reads ``matrices:`` of labs.yaml: labs by rows and columns."""

from __future__ import annotations

from collections.abc import Mapping

from lab import model
from lab.config import fit, schema
from lab.config.yaml_source import Source
from lab.util.suggest import nearest
from lab.util.terminal import quote


def read(
    source: Source, name: str, shape: schema.Matrix, labs: Mapping[str, model.Lab]
) -> model.Matrix:
    """A matrix. Each of its cells must name a lab."""
    at = ("matrices", name)
    fit.no_twice(source, (*at, "columns"), shape.columns)
    for row, cells in shape.rows.items():
        if len(cells) != len(shape.columns):
            text = f"{len(cells)} labs, but {len(shape.columns)} columns"
            source.add((*at, "rows", row), text)
        for i, lab in enumerate(cells):
            if lab not in labs:
                source.add((*at, "rows", row, i), f"no lab {quote(lab)}{nearest(lab, labs)}")
    return model.Matrix(
        name=name,
        columns=tuple(shape.columns),
        rows={row: tuple(cells) for row, cells in shape.rows.items()},
        description="" if shape.description == "-" else shape.description,
    )
