"""Finds where Xen's trace records begin in a stream of 32-bit words.

A record (Xen's ``xen/include/public/trace.h``, ``struct t_rec``) is a header word, then two
words of time if bit 31 of the header is set, then as many words as bits 28 to 30 say: 1 to 10
words in all. Only this record says where the next one begins, so a plain reader goes word by
word. Here all words that look like a header are found at once. The chain of records goes from
one such word to the next, with two exceptions: a payload word may look like a header, and a real
header may not look like one. These exceptions are followed one by one. So the result is exact
for any input, and the time is linear in its length.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]
Positions = npt.NDArray[np.int64]

#: The largest number of words in a record.
LONGEST = 10
#: Bits of a header that decide whether it looks like one: time present, class of the event.
_LOOK = np.uint32(0x8FFF0000)
_SCHED = 0x80020000
#: Once this many headers of a class were found one by one, the class is searched for as a whole.
_OFTEN = 16


class RecordFinder:
    """Finds the records of one file, portion by portion, and learns which classes occur."""

    def __init__(self) -> None:
        self._looks: list[int] = [_SCHED]
        self._met: dict[int, int] = {}

    def find(self, words: Words, known: list[int]) -> tuple[Positions, int]:
        """The records that begin in ``words`` and are whole.

        Args:
            words: uint32[n]; a record begins at word 0.
            known: positions at which a record is said to begin, increasing.

        Returns:
            Positions int64[k], increasing, and the position after the last whole record.
        """
        if not len(words):
            return np.zeros(0, np.int64), 0
        seen = self._candidates(words, known)
        targets = seen + lengths(words[seen])
        breaks = np.flatnonzero(targets[:-1] != seen[1:])
        if not len(breaks) and targets[-1] == len(words):
            return self._join([seen], [], int(targets[-1]))
        return self._follow(words, seen, targets, breaks)

    def _candidates(self, words: Words, known: list[int]) -> Positions:
        look = words & _LOOK
        mask = look == np.uint32(self._looks[0])
        for more in self._looks[1:]:
            mask |= look == np.uint32(more)
        mask[known] = True
        mask[0] = True
        return np.flatnonzero(mask)

    def _follow(
        self, words: Words, seen: Positions, targets: Positions, breaks: Positions
    ) -> tuple[Positions, int]:
        """Follow the chain from the first record: along runs of candidates, and over the breaks."""
        ends = [*breaks.tolist(), len(seen) - 1]
        runs: list[Positions] = []
        strays: list[int] = []
        start = number = 0
        while True:
            number = bisect_left(ends, start, number)
            last = ends[number]
            end = int(targets[last])
            if end > len(words):
                runs.append(seen[start:last])
                return self._join(runs, strays, int(seen[last]))
            runs.append(seen[start : last + 1])
            start, end = self._step(words, seen, end, strays, last)
            if start < 0:
                return self._join(runs, strays, end)

    def _step(
        self, words: Words, seen: Positions, here: int, strays: list[int], after: int
    ) -> tuple[int, int]:
        """Go record by record from word ``here`` to the next candidate: its index, or -1."""
        while here < len(words):
            at = int(np.searchsorted(seen[after : after + 64], here)) + after
            if at == after + 64:
                at = int(np.searchsorted(seen, here))
            if at < len(seen) and seen[at] == here:
                return at, here
            header = int(words[here])
            end = here + length(header)
            if end > len(words):
                break
            strays.append(here)
            self._meet(header)
            here, after = end, at
        return -1, here

    def _meet(self, header: int) -> None:
        look = header & int(_LOOK)
        if look >> 31:
            self._met[look] = self._met.get(look, 0) + 1
            if self._met[look] == _OFTEN and len(self._looks) < 8:
                self._looks.append(look)

    @staticmethod
    def _join(runs: list[Positions], strays: list[int], end: int) -> tuple[Positions, int]:
        found = runs[0] if len(runs) == 1 else np.concatenate(runs)
        if strays:
            found = np.insert(found, np.searchsorted(found, strays), strays)
        return found, end


def lengths(headers: Words) -> npt.NDArray[np.uint32]:
    """How many words the records with these headers have: uint32[k]."""
    found = headers >> np.uint32(28)
    timed = found >> np.uint32(3)
    found &= np.uint32(7)
    timed += timed
    found += timed
    found += np.uint32(1)
    return found


def length(header: int) -> int:
    """How many words the record with this header has."""
    return 1 + (header >> 28 & 7) + 2 * (header >> 31)
