"""Reads ``explore`` of a lab in labs.yaml."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lab import model
from lab.config import fit
from lab.config.explore_shapes import Explore
from lab.config.yaml_source import Loc, Source
from lab.model import Variable
from lab.model.disturbance import SHORTEST
from lab.util.suggest import nearest
from lab.util.terminal import quote


def read(
    source: Source,
    at: Loc,
    shape: Explore,
    lab: model.Lab,
    guests: Mapping[str, model.GuestSpec],
) -> model.Lab:
    """The lab with its bounds. A neighbour is one of the guests that do not start with the lab."""
    fit.no_twice(source, (*at, "vary"), shape.vary)
    if not shape.vary:
        source.add((*at, "vary"), "the list is empty: nothing may be different")
    if shape.longest < SHORTEST:
        words = f"a pause or a load lasts at least {SHORTEST * 1e6:.0f}us"
        source.add((*at, "longest"), f"'longest': {words}")
    bounds = model.Bounds(
        tuple(Variable(one) for one in shape.vary), shape.within, shape.most, shape.longest,
        shape.neighbour or "",
    )  # fmt: skip
    lab = dataclasses.replace(lab, explore=bounds)
    name = shape.neighbour
    if name is None:
        return lab
    where = (*at, "neighbour")
    if name not in guests:
        source.add(where, f"no guest {quote(name)}{nearest(name, guests)}")
    elif name in {one.name for one in lab.guests}:
        source.add(where, f"guest {quote(name)} starts with the lab; name another one")
    elif guests[name].by_xen:
        source.add(where, f"Xen boots guest {quote(name)}; a neighbour is created by xl")
    elif name not in {one.name for one in lab.later}:
        return dataclasses.replace(lab, later=(*lab.later, guests[name]))
    return lab
