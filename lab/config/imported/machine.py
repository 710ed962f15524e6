"""How large the machine of an imported lab is."""

from __future__ import annotations

from lab.config import fit
from lab.config.units import show_size
from lab.model import Lab

#: What Xen keeps of the machine's memory is at most RESERVE bytes and 1/PART of the domains' memory
#: (lab.config.fit reckons it exactly).
RESERVE, PART = 128 << 20, 12
#: The machine's memory grows in such steps, in bytes.
STEP = 256 << 20


def machine_memory(domains: int, least: int = 0) -> dict[str, str]:
    """``memory:`` of a lab, if it must be more than the default.

    ``domains``: what dom0 and the guests have together; ``least``: what it has in any case; both in
    bytes.
    """
    needed = -(-(domains + domains // PART + RESERVE) // STEP) * STEP
    wanted = max(needed, least // fit.MIB * fit.MIB)
    return {} if wanted <= Lab.memory else {"memory": show_size(min(wanted, fit.MOST_MEMORY))}
