"""Chooses what a report shows first: a stretch of time in which something happens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lab.trace.charts import length_words
from lab.trace.colours import task_title
from lab.trace.jobs import Jobs
from lab.trace.timeline import Timeline
from lab.trace.tracks import Tracks

#: How much is shown on either side of the time in which guests ran, as a share of that time.
MARGIN = 0.03
#: The view in multiples of the longest period, or of the job's own length if that is longer.
PERIODS, JOBS = 2, 3
#: The largest view in longest periods. It shows only the beginning of a longer job.
MOST = 10


@dataclass(frozen=True)
class Opening:
    """The first view, in counters, and why it was chosen."""

    start: int
    end: int
    why: str


@dataclass(frozen=True)
class _Job:
    guest: str
    task: int
    released: int
    ended: int
    allowed: int
    late: bool

    @property
    def due(self) -> int:
        return self.released + self.allowed

    @property
    def share(self) -> float:
        """The length of the job, as a share of what it may take."""
        return (self.ended - self.released) / self.allowed


def opening(
    timeline: Timeline, tracks: Tracks, jobs: dict[tuple[str, int], Jobs], start: int, end: int
) -> Opening:
    """The worst job between ``start`` and ``end`` (counters), else where guests ran, else all."""
    seen = [
        one for (guest, task), mine in jobs.items() for one in _seen(guest, task, mine, end)
    ]  # fmt: skip
    if not seen:
        return _life(tracks, start, end)
    late = sum(int(mine.missed.sum()) for mine in jobs.values())
    longest = max(mine.period for mine in jobs.values())
    job, which = max(seen, key=lambda one: (one.late, one.share)), "worst"
    if job.late and JOBS * (job.ended - job.released) > MOST * longest:
        job, which = min((one for one in seen if one.late), key=lambda one: one.due), "first"
    length = min(max(PERIODS * longest, JOBS * (job.ended - job.released)), MOST * longest)
    middle = (job.released + min(job.ended, job.due + length // 4)) // 2
    first = max(start, min(middle - length // 2, end - length))
    words = f"the {which} of {late} late jobs" if late > 1 else "the late job"
    if not job.late:
        words = "the job that came nearest to its deadline"
    return Opening(first, min(end, first + length), f"{words}: {_named(timeline, job)}")


def _seen(guest: str, task: int, mine: Jobs, end: int) -> Iterator[_Job]:
    """The longest job of a task, and its first late one, among those that ended."""
    allowed = mine.deadline or mine.period
    done = mine.done & (mine.ended <= end)
    if allowed and done.any():
        took = np.where(done, mine.ended - mine.released, -1)
        late = np.flatnonzero(done & mine.missed)[:1].tolist()
        for at in (int(np.argmax(took)), *late):
            yield _Job(
                guest, task, int(mine.released[at]), int(mine.ended[at]), allowed,
                bool(mine.missed[at]),
            )  # fmt: skip


def _named(timeline: Timeline, job: _Job) -> str:
    per = timeline.clock.frequency
    took, allowed = (length_words(part / per) for part in (job.ended - job.released, job.allowed))
    title = task_title(timeline.guests[job.guest], job.task)
    return f"{job.guest} / {title}, {took} of {allowed}"


def _life(tracks: Tracks, start: int, end: int) -> Opening:
    """From the first moment at which a guest's vCPU or task ran to the last one."""
    slices = [track.slices[track.labels == 0] for track in tracks.tracks if _of_guest(track.key)]
    every = np.concatenate([np.zeros((0, 2), np.int64), *slices])
    every = every[(every[:, 1] > start) & (every[:, 0] < end)]
    if not len(every):
        return Opening(start, end, "")
    first, last = int(every[:, 0].min()), int(every[:, 1].max())
    margin = int((last - first) * MARGIN)
    return Opening(max(start, first - margin), min(end, last + margin), "while guests ran")


def _of_guest(key: str) -> bool:
    return key.startswith("task/") or (key.startswith("vcpu/") and not key.startswith("vcpu/0."))
