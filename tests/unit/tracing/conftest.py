"""A simulated run, made once."""

from __future__ import annotations

import json

import pytest

from lab.rundir import RunDir
from lab.trace import timeline
from lab.trace.timeline import ConsoleLine, Timeline
from tracing.synthetic import Simulation

#: What a guest might print to get into a page or a terminal.
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J ${title} $title"


@pytest.fixture(scope="session")
def simulation() -> Simulation:
    """A second in which Xen takes so much time away that jobs are late."""
    return Simulation(1.0, seed=3, steal=9 * 62_500)


@pytest.fixture(scope="session")
def run(simulation: Simulation, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Its run folder."""
    folder = RunDir(tmp_path_factory.mktemp("runs") / "periodic" / "20260101-000000-abcd")
    folder.trace_dir.mkdir(parents=True)
    simulation.write_to(folder.trace_dir)
    folder.update_manifest(lab=f"periodic {HOSTILE}", verdict="fail", layer="guest",
                           reason=HOSTILE, clock="virtual", phases={"xen": 1.0, HOSTILE: 2.0},
                           images={HOSTILE: {"sha256": HOSTILE}}, xen_args=HOSTILE)  # fmt: skip
    events = [{"time": 1.0, "event": "mark", "what": HOSTILE, "after": 3.5}, {"event": 7}]
    text = "\n".join(map(json.dumps, events))
    folder.events_file.write_text(f'{text}\nno json\n["no object"]\n')
    return folder


@pytest.fixture(scope="session")
def seen(run: RunDir) -> Timeline:
    """The timeline of the run."""
    lines = [
        ConsoleLine(3.2, "rt", HOSTILE),
        ConsoleLine(None, "dom0", "no time"),
        ConsoleLine(0.1, "xen", "boot"),
    ]
    return timeline.load(run, lines)
