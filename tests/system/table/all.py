"""The fault table: every row, and how often it is injected (docs/faults.md says what must hold).

Rows whose ``ci`` is 0 have their own tests in ``tests/system``; here they are only counted.
"""

from __future__ import annotations

from system.table import crowd, damage, flood, guests, killed, places, yaml_files
from system.table.rows import Row

ROWS = (
    Row("our process killed with -9", 4, 100, killed.our_process),
    Row("QEMU killed", 3, 50, killed.qemu),
    Row("lab.up of one name at once", 3, 100, killed.race),
    Row("many commands at once on one lab", 1, 1, crowd.hands, 2 * crowd.LONG),
    Row("image, lock, template, manifest damaged", 24, 200, damage.spot),
    Row("disk full: store", 0, 3, places.full_store),
    Row("disk full: run folder", 0, 3, places.full_run_folder),
    Row("disk full: run folder of a lab that runs", 1, 3, places.filled_run),
    Row("disk full: machine's memory", 0, 3, places.full_memory),
    Row("disk full: template", 1, 3, places.full_template),
    Row("console flood, labs at once", 1, 1, flood.long, alone=True),
    Row("console flood, lab.run ends it", 2, 4, flood.ends_a_run),
    Row("console flood, nobody watches", 1, 3, flood.is_bounded),
    Row("guest halts, hangs, resets, …", 6, 18, guests.stops),
    Row("Xen crashes", 1, 3, guests.xen_crashes),
    Row("dom0 hangs or panics", 1, 6, guests.dom0_hangs),
    Row("hostile console output", 1, 12, guests.hostile_output),
    Row("labs.yaml broken", 60, 5000, yaml_files.broken),
    Row("mirror unreachable", 0, 3, places.unreachable),
    Row("umask 077, folder behind a link", 0, 3, places.careful_umask),
    Row("odd places, a clock that jumps", 3, 15, places.odd_places),
)
