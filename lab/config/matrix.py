"""Reads ``matrices:`` of labs.yaml: labs by rows and columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lab import model
from lab.config import arch, fit, schema
from lab.config.yaml_source import Source
from lab.model.architecture import by_word
from lab.util.suggest import nearest
from lab.util.terminal import quote


def read(
    source: Source, name: str, shape: schema.Matrix, labs: Mapping[str, model.Lab]
) -> model.Matrix:
    """A matrix. Each of its cells must name a lab, which must fit every architecture."""
    at = ("matrices", name)
    fit.no_twice(source, (*at, "columns"), shape.columns)
    for row, cells in shape.rows.items():
        if len(cells) != len(shape.columns):
            text = f"{len(cells)} labs, but {len(shape.columns)} columns"
            source.add((*at, "rows", row), text)
        for i, lab in enumerate(cells):
            if lab not in labs:
                source.add((*at, "rows", row, i), f"no lab {quote(lab)}{nearest(lab, labs)}")
    archs = tuple(map(by_word, shape.arch))
    fit.no_twice(source, (*at, "arch"), shape.arch)
    known = {lab: labs[lab] for cells in shape.rows.values() for lab in cells if lab in labs}
    for i, one in enumerate(archs):
        for lab, spec in known.items():
            if why := arch.refused(replace(spec, arch=one)):
                source.add((*at, "arch", i), f"lab {lab}: {why}")
    return model.Matrix(
        name=name,
        columns=tuple(shape.columns),
        rows={row: tuple(cells) for row, cells in shape.rows.items()},
        description="" if shape.description == "-" else shape.description,
        archs=archs,
    )
