"""The folders of a worker: one for each run under way, and those of what was sent to it."""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from lab.cluster import contents
from lab.cluster.contents import Part
from lab.cluster.task import Task
from lab.packages import lock
from lab.util import files, private


class Places:
    """The folders. A thread removes those of runs that are over, so that no run waits for it."""

    def __init__(self, folder: Path) -> None:
        self._tasks, self._parts = folder / "tasks", folder / "parts"
        for one in (self._tasks, self._parts):
            private.folder(one)
        self._laid: set[str] = set()
        self._numbers = itertools.count(1)
        self._old: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._remover = threading.Thread(target=self._remove, daemon=True)
        self._remover.start()

    def lay(self, parts: Sequence[Part]) -> None:
        """Unpack what is not there yet.

        Raises:
            OSError: the disk is full, or the folder is not writable.
        """
        for part in parts:
            if part.sha256 not in self._laid:
                contents.lay(part, self._parts)
                self._laid.add(part.sha256)

    @contextlib.contextmanager
    def of(self, task: Task) -> Iterator[Path]:
        """The folder of a run, with its order. It goes when the block ends."""
        place = self._tasks / f"{task.key}-{next(self._numbers)}"
        place.mkdir(parents=True)
        try:
            (place / task.order.options["file"]).write_text(task.labs, encoding="utf-8")
            (place / lock.NAME).hardlink_to(self._parts / task.lock / lock.NAME)
            (place / "order.json").write_text(json.dumps(asdict(task.order)), encoding="utf-8")
            yield place
        finally:
            self._old.put(place)

    def close(self) -> None:
        """Wait until the folders of runs that are over have gone."""
        self._old.put(None)
        self._remover.join()

    def _remove(self) -> None:
        while place := self._old.get():
            with contextlib.suppress(OSError):  # the next worker in this folder removes the rest
                files.remove_tree(place)
