"""Measures how fast traces of Xen are decoded, against ``xenalyze --summary`` on the same file.

The file consists of copies of a real trace, each with later times. The end of one copy and the
beginning of the next do not fit together, and both readers must know that. So between two copies
there is, for every PCPU, a record of lost records, as Xen itself writes it.

As a program (``python -m lab.bench.decoding FILE``) this module decodes a file and prints the
seconds, the number of events and the process's peak memory (bytes) as JSON. So each measurement
has a process of its own.
"""

from __future__ import annotations

import json
import os
import resource as limits
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.bench import xenalyze
from lab.errors import LabError
from lab.model import Toolchain
from lab.util import process
from lab.util.deadline import Deadline
from lab.util.resources import resource

#: The size of the file (bytes), and the frequency of the trace's clock (Hz).
SIZE = 100_000_000
FREQUENCY = 62_500_000
#: The limits: a multiple of xenalyze's time, and the peak memory (bytes).
RATIO, MEMORY = 1.5, 500e6
_LOST = 0xC001F001
_CPU_CHANGE = 0x2001F003
_IDLE = 0x7FFF


@dataclass(frozen=True)
class Decoding:
    """The results.

    ``seconds``, ``whole`` and ``xenalyze`` are medians (s): of decoding, of the whole process that
    decodes, and of xenalyze. ``memory`` is the largest peak memory (bytes), ``megabytes`` the size
    of the file.
    """

    seconds: float
    whole: float
    xenalyze: float
    memory: float
    megabytes: float


def measure(toolchain: Toolchain, rounds: int, say: Callable[[str], None]) -> Decoding:
    """Decode a large file ``rounds`` times, in turn with xenalyze.

    Raises:
        LabError: xenalyze is not available, or one of the two readers failed.
    """
    program = xenalyze.find(toolchain)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "xen.bin"
        enlarge(resource("tests", "data", "xen.bin"), path, SIZE)
        ours, wholes, theirs, peaks = [], [], [], []
        for number in range(rounds):
            say(f"traces: round {number + 1} of {rounds}")
            theirs.append(xenalyze.summary(program, path, FREQUENCY))
            argv = [sys.executable, "-m", "lab.bench.decoding", str(path)]
            done = process.run(argv, env=dict(os.environ))
            if done.returncode:
                raise LabError("decoding failed", tail=done.stderr.decode(errors="replace"))
            found = json.loads(done.stdout)
            ours.append(found["seconds"])
            peaks.append(found["memory"])
            wholes.append(done.seconds)
        size = path.stat().st_size / 1e6
    median = statistics.median
    return Decoding(median(ours), median(wholes), median(theirs), max(peaks), size)


def enlarge(sample: Path, path: Path, size: int) -> None:
    """Write as many copies of a trace as fit into ``size`` bytes, at least one.

    Each copy is later than the one before.
    """
    import numpy as np

    from lab.trace.record_headers import RecordFinder

    words = np.fromfile(sample, "<u4")
    places, _ = RecordFinder().find(words, [])
    headers = words[places]
    timed = places[headers >= 1 << 31] + 1
    times = words[timed].astype(np.int64) | words[timed + 1].astype(np.int64) << 32
    pcpus = sorted(set(words[places[headers == _CPU_CHANGE] + 1].tolist()))
    first, last = int(np.min(times)), int(np.max(times))
    length = last - first + FREQUENCY // 1000
    with path.open("wb") as file:
        for copy in range(max(1, size // sample.stat().st_size)):
            moved = times + copy * length
            words[timed], words[timed + 1] = moved & 0xFFFFFFFF, moved >> 32
            if copy:
                gap = (last + (copy - 1) * length, first + copy * length - 1)
                file.write(b"".join(_seam(pcpu, *gap) for pcpu in pcpus))
            file.write(words.tobytes())


def _seam(pcpu: int, since: int, until: int) -> bytes:
    """A window with one TRC_LOST_RECORDS: count, domain and vCPU, time of the first lost record.

    Records were lost from ``since`` to ``until`` (cycles of the trace's clock).
    """
    who = _IDLE | pcpu << 16
    low, high = until & 0xFFFFFFFF, until >> 32
    record = [_LOST, low, high, 1, who, since & 0xFFFFFFFF, since >> 32]
    words = [_CPU_CHANGE, pcpu, 4 * len(record), *record]
    return b"".join(word.to_bytes(4, "little") for word in words)


def decode(path: Path) -> dict[str, float]:
    """Decode and merge a file. Returns ``seconds``, ``events`` and peak ``memory`` (bytes)."""
    from lab.trace import xentrace

    clock = Deadline(0)
    events = sum(len(portion) for portion in xentrace.read(path))
    seconds = clock.elapsed()
    memory = limits.getrusage(limits.RUSAGE_SELF).ru_maxrss << 10
    return {"seconds": seconds, "events": events, "memory": memory}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(decode(Path(sys.argv[1]))))
