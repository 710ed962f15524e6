"""The process in which a worker of a cluster runs labs (``lab.cluster.player``).

It is started as ``python -m lab.api.played ORDERS ANSWERS``, with the descriptors of two pipes.
Each order is the folder of a run, which has the labs.yaml, ``labs.lock`` and ``order.json``. The
result is ``outcome`` in that folder: a pickled :class:`lab.api.Run`, or the ``LabError``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import select
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.api.context import Context, architecture, clean
from lab.api.results import Run
from lab.api.runs import run
from lab.api.shared import Shared
from lab.errors import LabError
from lab.model import Clock
from lab.packages import lock
from lab.progress import Progress
from lab.util import files, reading, signals

#: What runs of one command have in common, by its labs.yaml, its lock and its options. The last few
#: are kept: a worker may serve several commands at a time.
_shared: dict[str, Shared] = {}
KEPT = 8


def main() -> None:
    """Run what is ordered, until the pipe of the orders is closed."""
    orders, answers = map(int, sys.argv[1:])
    signals.one_way_to_stop()
    threading.Thread(target=_end_with, args=(orders,), daemon=True).start()
    with (
        contextlib.suppress(KeyboardInterrupt, BrokenPipeError),
        os.fdopen(orders) as lines,
        os.fdopen(answers, "w") as out,
    ):
        while line := lines.readline():
            play(Path(line.rstrip("\n")))
            out.write("done\n")
            out.flush()
    signals.leaving()


def play(folder: Path) -> None:
    """Run the order in a folder, and write its outcome."""
    order = reading.json_file(folder / "order.json")
    outcome: Run | LabError
    try:
        outcome = _run(folder, order["lab"], order["options"])
    except LabError as error:
        outcome = error
    files.write_atomic(folder / "outcome", pickle.dumps(outcome), durable=False)


def _run(folder: Path, lab: str, how: Mapping[str, Any]) -> Run:
    context = Context(
        folder / how["file"], None, Progress(), how["force"], how["locked"],
        architecture(how["arch"]), cores=how["cores"], seed=how["seed"],
        keep=None if how["keep"] is None else tuple(how["keep"]),
    )  # fmt: skip
    context = replace(context, shared=_common(context, how))
    clock = Clock(how["clock"]) if how["clock"] else None
    return run(context, lab, clock=clock, cold=how["cold"])


def _common(context: Context, how: Mapping[str, Any]) -> Shared:
    """What the run has in common with earlier ones of this process."""
    made_of = [hashlib.sha256(reading.data(file)).hexdigest()
               for file in (context.file, lock.place(context.file))]  # fmt: skip
    rest = {name: value for name, value in how.items() if name not in ("seed", "keep")}
    key = files.sha256_json([*made_of, rest])
    if key not in _shared:
        clean(context)
    _shared[key] = found = _shared.pop(key, None) or Shared()
    for old in list(_shared)[:-KEPT]:
        del _shared[old]
    return found


def _end_with(orders: int) -> None:
    """Interrupt this process when nobody can order any more, even in the middle of a run."""
    poll = select.poll()
    poll.register(orders, 0)  # the end alone, not each order
    poll.poll()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
