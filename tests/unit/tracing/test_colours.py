"""Colours of the report: everybody can tell tasks apart, and late things wear a colour of theirs.

How people see who lack a kind of cones: Machado, Oliveira, Fernandes, "A Physiologically-based
Model for Simulation of Color Vision Deficiency" (2009), severity 1. Distances are CIE 1976's.
"""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from lab.rundir import RunDir
from lab.trace import colours, drawing, jobs, timeline, tracks
from lab.trace.charts import histogram
from lab.trace.first_view import opening
from lab.trace.timeline import Timeline
from tracing.synthetic import Simulation

Colours = npt.NDArray[np.float64]
#: 2.3 is what people just notice, side by side; bars are thin, and far from each other.
FAR_APART = 12.0
#: WCAG 2.2, 1.4.11: graphics against what is next to them.
CONTRAST = 3.0
EYES = {
    "all": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                        [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                        [-0.011820, 0.042940, 0.968881]]),
}  # fmt: skip
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def palettes() -> dict[str, dict[str, str]]:
    """The style sheet's colours by name, for light and dark."""
    css = (files("lab.trace") / "assets" / "report.css").read_text()
    light, dark = re.findall(r":root[^{]*\{([^}]*)\}", css)[:2]
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    return {"light": found, "dark": found | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark))}


def linear(colour: str) -> Colours:
    """sRGB without its gamma."""
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(light: Colours) -> Colours:
    """CIE L*a*b* under D65."""
    xyz = XYZ @ np.clip(light, 0, 1) / np.array([0.95047, 1, 1.08883])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("eyes", EYES)
def test_tasks_are_told_apart_by_everybody(mode: str, eyes: str) -> None:
    """Also from late jobs, and from waiting."""
    palette = palettes()[mode]
    names = [*(f"t{n}" for n in range(colours.COLOURS)), "late", "wait"]
    seen = {name: lab(EYES[eyes] @ linear(palette[name])) for name in names}
    near = {
        f"{a}, {b}": round(float(np.linalg.norm(seen[a] - seen[b])), 1)
        for a, b in combinations(names, 2)
        if np.linalg.norm(seen[a] - seen[b]) < FAR_APART
    }
    assert near == {}


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_stand_out_from_the_page(mode: str) -> None:
    palette = palettes()[mode]
    card = float(XYZ[1] @ linear(palette["card"]))
    for name in (f"t{n}" for n in range(colours.COLOURS)):
        light = float(XYZ[1] @ linear(palette[name]))
        low, high = sorted((card, light))
        assert (high + 0.05) / (low + 0.05) >= CONTRAST, name


def test_only_late_things_wear_their_colour(seen: Timeline) -> None:
    """A deadline that all jobs met is drawn plainly; a missed one is not."""
    times = np.array([0.001, 0.002])
    assert "missed" not in histogram(times, 0.003, "x", "t1")
    assert "f-late" not in histogram(times, 0.003, "x", "t1")
    some_late = histogram(times, 0.0015, "x", "t1")
    assert all(word in some_late for word in ("due missed", "f-late", "f-t1"))
    legend = drawing.data(seen, tracks.build(seen), {})["legend"]
    assert "late" not in [name for name, _ in legend]


def test_tasks_have_colours_and_names_of_their_own(seen: Timeline) -> None:
    """In the order of their priority. The idle task has no colour. A name that occurs twice gets
    its number."""
    guest = seen.guests["rt"]
    shown = [one for one in colours.in_order(guest) if guest.task_name(one) != colours.IDLE]
    assert [colours.task_colour(guest, one) for one in shown] == [
        f"t{n}" for n in range(len(shown))
    ]
    titles = [colours.task_title(guest, one) for one in guest.tasks]
    assert len(set(titles)) == len(titles)
    lanes = drawing.data(seen, tracks.build(seen), {})["lanes"]
    tints = [lane["colours"][0] for lane in lanes if lane["kind"] == "task"]
    assert len(set(tints)) == len(tints) > 1


def first_view(found: Timeline) -> tuple[float, float, str]:
    """Seconds from the start of the trace, and the reason."""
    periodic = {
        (guest.name, number): mine
        for guest in found.guests.values()
        for number, mine in jobs.find(guest, found.hypervisor).items()
    }
    start, end = found.bounds
    view = opening(found, tracks.build(found), periodic, start, end)
    assert start <= view.start < view.end <= end
    per = found.clock.frequency
    return (view.start - start) / per, (view.end - start) / per, view.why


def test_the_first_view_shows_what_was_late(seen: Timeline) -> None:
    begin, end, why = first_view(seen)
    assert re.search(r"of \d+ late jobs: rt / ", why)
    assert end - begin < 0.3 * (seen.bounds[1] - seen.bounds[0]) / seen.clock.frequency


def test_the_first_view_without_late_jobs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """It shows the job that came nearest to its deadline; without periodic tasks, what guests
    did."""
    folder = RunDir(tmp_path_factory.mktemp("runs") / "calm" / "id")
    folder.trace_dir.mkdir(parents=True)
    Simulation(1.0, seed=3).write_to(folder.trace_dir)
    calm = timeline.load(folder)
    assert "nearest to its deadline" in first_view(calm)[2]
    start, end = calm.bounds
    view = opening(calm, tracks.build(calm), {}, start, end)
    assert view.why == "while guests ran"
    assert view.start < view.end
