"""What this machine has and lacks.

The checks are imported only when they are asked for: what they need for the network would cost
every other command its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.api.context import Context
from lab.store import cache_root

if TYPE_CHECKING:
    from lab.doctor.checks import Finding


def doctor(context: Context) -> list[Finding]:
    """What this machine has and lacks, one finding for each."""
    from lab.api import consistency
    from lab.doctor.checks import check

    return [*check(cache_root(), context.runs), consistency.lock_finding(context)]
