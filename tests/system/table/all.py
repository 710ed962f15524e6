"""The fault table: every row, and how often (docs/faults.md says what must hold)."""

from __future__ import annotations

from system.table import flood, guests, killed
from system.table.rows import Row

ROWS = (
    Row("our process killed with -9", 12, 100, killed.our_process),
    Row("QEMU killed", 4, 50, killed.qemu),
    Row("lab.up of one name at once", 3, 100, killed.race),
    Row("console flood, labs at once", 1, 1, flood.long),
    Row("console flood, lab.run ends it", 1, 3, flood.ends_a_run),
    Row("console flood, nobody watches", 1, 3, flood.is_bounded),
    Row("guest halts, hangs, resets, …", 6, 18, guests.stops),
    Row("dom0 hangs or panics", 2, 6, guests.dom0_hangs),
    Row("hostile console output", 1, 12, guests.hostile_output),
)
