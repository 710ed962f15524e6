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


def doctor(context: Context, *, verify: bool = False) -> list[Finding]:
    """What this machine has and lacks, one finding for each.

    ``verify``: also compare the contents of every toolchain and image in the cache with what they
    were when they were made. This reads all of them.
    """
    from lab.api import consistency
    from lab.doctor import contents
    from lab.doctor.checks import check

    found = [*check(cache_root(), context.runs), consistency.lock_finding(context)]
    return [*found, contents.verified(cache_root())] if verify else found
