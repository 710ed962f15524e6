"""A small simulation of three periodic tasks in a guest under Xen, which records what really
happened.

One PCPU is shared with a noisy guest that always wants to run. Xen lets our guest wait a while
after each wake-up, and sometimes takes the PCPU away in the middle of its work. The simulation
counts what each job spends its time on while that happens. It does not use the traces for this.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from tracing.encode import BLOCKED, RUNNABLE, XenTrace, write_guest

HZ = 62_500_000
MS = HZ // 1000
US = HZ // 1_000_000
IDLE_TASK = 4
RT, NOISY, DOM0, IDLE0 = (1, 0), (2, 0), (0, 0), (0x7FFF, 0)
#: Number, name, priority, period and work (counters).
TASKS = (
    (1, "fast", 5, 5 * MS, MS // 2),
    (2, "middle", 4, 10 * MS, MS),
    (3, "slow", 3, 20 * MS, 3 * MS),
)
PARTS = ("execution", "interrupts", "own", "hypervisor", "blocked", "backlog")


@dataclass
class Job:
    """What really happened to a job."""

    task: int
    number: int
    release: int
    left: int
    began: int = -1
    ended: int = -1
    parts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))


class Simulation:
    """Runs for ``seconds``. Then ``xen``, ``records`` and ``done`` have what happened."""

    def __init__(self, seconds: float = 1.0, seed: int = 1, steal: int = 2 * MS) -> None:
        self.random = random.Random(seed)
        self.xen = XenTrace()
        self.records: list[tuple[int, int, int, int]] = []
        self.done: list[Job] = []
        self.pending: list[Job] = []
        self.now = self.start = 3 * HZ
        self.end = self.start + int(seconds * HZ)
        self.running = IDLE_TASK
        self.steal = steal
        self.steal_at = self.start + 7 * MS
        self.next = {task[0]: (0, self.start + 2 * MS) for task in TASKS}
        self.run()

    def run(self) -> None:
        self.xen.switch(self.now, 1, NOISY, RT, RUNNABLE)
        for number, _, priority, period, _ in TASKS:
            self.write(6, number, priority)
            self.write(33, number, period * 1_000_000 // HZ)
        self.write(1, IDLE_TASK, 0)
        self.passes(100, "own")
        while self.now < self.end:
            if self.pending:
                self.work()
            else:
                self.sleep()
            self.release()
        self.dom0()

    def write(self, event: int, task: int, argument: int = 0, at: int = -1) -> None:
        self.records.append((self.now if at < 0 else at, event, task, argument))

    def sleep(self) -> None:
        """Block until the next release. Then Xen wakes the guest, which waits for the PCPU."""
        due = min(at for _, at in self.next.values())
        if due <= self.now:
            return
        self.xen.switch(self.now, 1, RT, NOISY, BLOCKED)
        self.now = due
        self.create()
        self.passes(40, "blocked")
        self.xen.wake(self.now, 1, RT)
        self.passes(self.random.choice((100, 400, 3000, 20 * US, MS // 2)), "hypervisor")
        self.xen.switch(self.now, 1, NOISY, RT, RUNNABLE)

    def create(self) -> None:
        """Release the jobs whose time has come, whether or not the guest has noticed."""
        for number, _, _, period, work in TASKS:
            count, at = self.next[number]
            if at <= self.now:
                self.pending.append(Job(number, count, at, work))
                self.next[number] = (count + 1, at + period)

    def release(self) -> None:
        """The tick's interrupt, and the switch to the most urgent task."""
        fresh = [job for job in self.pending if job.began < 0 and job.release <= self.now]
        if fresh:
            self.write(18, self.running, 27)
            self.passes(60, "interrupts")
            for job in fresh:
                self.write(3, job.task)
            self.write(17, self.running, (self.now - self.start) // MS)
            self.write(19, self.running, 27)
        self.choose()

    def choose(self) -> None:
        best = min((job.task for job in self.pending), default=IDLE_TASK)
        if best != self.running:
            self.write(2, self.running)
            self.running = best
            self.write(1, best, 0)

    def work(self) -> None:
        """Run the task's oldest job until it ends, a release comes, or Xen takes the PCPU away."""
        job = next((job for job in self.pending if job.task == self.running), None)
        if job is None:
            return
        if job.began < 0:
            job.began = self.now
            self.write(37, job.task, job.number, at=job.release)
            self.write(35, job.task, job.number)
        due = min(at for _, at in self.next.values())
        if self.now >= self.steal_at:
            self.stolen()
        step = min(job.left, max(due - self.now, 1), max(self.steal_at - self.now, 1))
        self.passes(step, "execution")
        job.left -= step
        if not job.left:
            self.finish(job)
        self.create()

    def finish(self, job: Job) -> None:
        job.ended = self.now
        self.write(36, job.task, job.number)
        self.pending.remove(job)
        self.done.append(job)

    def stolen(self) -> None:
        self.xen.switch(self.now, 1, RT, NOISY, RUNNABLE)
        self.passes(self.random.randint(1, max(1, self.steal)), "hypervisor")
        self.xen.switch(self.now, 1, NOISY, RT, RUNNABLE)
        self.steal_at = self.now + self.random.randint(4 * MS, 9 * MS)
        self.create()

    def passes(self, length: int, kind: str) -> None:
        """Let time pass, and count for every waiting or running job what it was spent on."""
        until = self.now + length
        while self.now < until:
            due = min((at for _, at in self.next.values() if at > self.now), default=until)
            step = min(until, due) - self.now
            self.account(step, kind)
            self.now += step
            self.create()

    def account(self, step: int, kind: str) -> None:
        oldest: set[int] = set()
        for job in self.pending:
            mine = job.task == self.running
            part = kind if mine or kind in ("hypervisor", "blocked", "interrupts") else "own"
            job.parts["backlog" if job.task in oldest else part] += step
            oldest.add(job.task)

    def dom0(self) -> None:
        """On the other PCPU dom0 runs 3 of 10 ms."""
        for at in range(self.start, self.end, 10 * MS):
            self.xen.wake(at, 0, DOM0)
            self.xen.switch(at + 50, 0, IDLE0, DOM0, RUNNABLE)
            self.xen.switch(at + 3 * MS, 0, DOM0, IDLE0, BLOCKED)

    def write_to(self, folder: Path) -> None:
        """A run's ``trace/`` folder."""
        (folder / "xen.bin").write_bytes(self.xen.bytes())
        (folder / "xen.json").write_text(json.dumps({"frequency": HZ, "lost": 0, "complete": True}))
        tasks = {str(t[0]): {"name": t[1], "priority": t[2]} for t in TASKS}
        tasks[str(IDLE_TASK)] = {"name": "IDLE", "priority": 0}
        write_guest(folder, "rt", self.records, frequency=HZ, tick_hz=1000, tasks=tasks, domain=1,
                    lost=0, records=len(self.records), complete=True)  # fmt: skip
        write_guest(folder, "noisy", [(self.start, 1, 1, 1)], frequency=HZ, tick_hz=1000,
                    domain=2, complete=True, tasks={"1": {"name": "noise"}})  # fmt: skip
        (folder / "clock.json").write_text(json.dumps({"counter_offset_dom0": 9000}))
