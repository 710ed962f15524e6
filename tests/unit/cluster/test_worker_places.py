"""The folders of a worker."""

from __future__ import annotations

import json
from pathlib import Path

from lab.cluster import contents
from lab.cluster.contents import Part
from lab.cluster.places import Places
from lab.cluster.task import Order, Task
from lab.packages import lock


def test_a_run_has_its_order_and_goes(tmp_path: Path) -> None:
    """Also if the same run comes again, as it does when another worker was lost. What was sent
    stays for the next run."""
    (tmp_path / "parts").mkdir()
    (tmp_path / lock.NAME).write_text("{}")
    part = Part(lock.NAME, contents.pack(tmp_path / lock.NAME, lock.NAME))
    task = Task(Order("hello", "1", {"file": "my.yaml"}, 1 << 20), "labs: {}\n", part.sha256)
    places = Places(tmp_path)
    for _ in range(2):
        places.lay([part])
        with places.of(task) as place:
            assert (place / "my.yaml").read_text() == task.labs
            assert (place / lock.NAME).read_text() == "{}"
            assert json.loads((place / "order.json").read_text())["lab"] == "hello"
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("tasks", "parts")} == {0o700}
    places.close()
    assert not list((tmp_path / "tasks").iterdir())
    assert len(list((tmp_path / "parts").glob(f"*/{lock.NAME}"))) == 1
