"""The fault table, at its CI size; `./inv test.faults --full` runs it at full size."""

from __future__ import annotations

import pytest

from system.table.all import ROWS
from system.table.rows import Row, full, injected
from system.world import LONGEST, World

#: Each row is bounded by this for each time that it is injected, in seconds.
EACH = 2 * LONGEST if not full() else 120.0


def marks(row: Row) -> list[pytest.MarkDecorator]:
    bounded = pytest.mark.timeout(EACH + row.longest * row.times)
    return [bounded, pytest.mark.alone] if row.alone else [bounded]


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.name, marks=marks(row)) for row in ROWS if row.times]
)
def test_fault(world: World, row: Row) -> None:
    """What must hold holds each time that the fault is injected."""
    count = injected(row, world)
    if count.skipped:
        pytest.skip(count.skipped)
    assert not count.failed, f"{len(count.failed)} of {count.done}:\n" + "\n".join(count.failed)
    assert count.held == count.wanted
