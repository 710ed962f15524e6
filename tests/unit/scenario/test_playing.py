"""Steps are taken in order, and nothing that a console says is missed or counted twice."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.errors import ConfigError, Dom0Error, GuestError, ToolstackError, UsageError
from lab.machine.log_lines import LogReader, RawLine
from lab.model import Act, ExitStatus, Expectation, HypervisorSpec, Lab, Layer, Never, Step
from lab.scenario import Outcome, Player, Report, Script, StepResult, watch
from lab.util.patterns import pattern

Moment = tuple[float, str, str]


class Stage:
    """A stage whose consoles say given lines at given times. The test sets the clock."""

    def __init__(self, folder: Path, script: list[Moment]) -> None:
        self.files = {name: folder / f"{name}.log" for name in ("xen", "dom0", "a", "b")}
        for path in self.files.values():
            path.touch()
        self.script = sorted(script)
        self.at = 0.0
        self.waits: list[float] = []
        self._readers = [LogReader(name, path) for name, path in self.files.items()]
        self._say()

    def _say(self) -> None:
        while self.script and self.script[0][0] <= self.at:
            _, console, text = self.script.pop(0)
            with self.files[console].open("a") as file:
                file.write(text)

    def now(self) -> float:
        return self.at

    def ended(self) -> bool:
        return False

    def read(self) -> tuple[list[RawLine], list[RawLine]]:
        lines = [line for reader in self._readers for line in reader.read()]
        return lines, [reader.partial for reader in self._readers if reader.partial]

    def begin(self) -> None:
        pass

    async def wait(self, until: float, done: asyncio.Future[Any] | None) -> None:
        if done:
            await asyncio.wait([done])
            return
        assert until > self.at, "time stands still"
        self.at = min(until, self.script[0][0] if self.script else until)
        self.waits.append(self.at)
        self._say()

    async def aftermath(self, *, alive: bool) -> None:
        del alive


class Hands:
    """Hands that write down what they are told; then they call ``does``."""

    def __init__(self, does: Callable[[Step], object] = lambda _: None) -> None:
        self.told: list[str] = []
        self._does = does

    async def __call__(self, step: Step) -> str:
        self.told.append(f"{step.do} {step.on or step.text}")
        self._does(step)
        return "said"


def wait(text: str, on: str = "a", within: float = 10.0, *, regex: bool = False) -> Step:
    return Step(Act.WAIT, on, text, regex, within=within, line=7)


def group(*steps: Step) -> Step:
    return Step(Act.PARALLEL, members=steps)


def lab(*steps: Step, **more: Any) -> Lab:
    return Lab("one", HypervisorSpec("stock"), steps=steps, **more)


def played(
    folder: Path, wanted: Lab, script: list[Moment], hands: Hands | None = None
) -> tuple[Report, Stage, list[StepResult]]:
    stage, told = Stage(Path(tempfile.mkdtemp(dir=folder)), script), list[StepResult]()
    player = Player(Script(wanted, stage.files), stage, hands or Hands(), told.append)
    report = asyncio.run(player.play())
    return report, stage, told


def outcomes(report: Report) -> list[str]:
    return [f"{one.number} {one.outcome}" for one in report.steps]


def test_steps_are_taken_in_order(tmp_path: Path) -> None:
    hands = Hands()
    steps = [wait("up"), Step(Act.TYPE, "a", "hi"), Step(Act.EXEC, text="xl list"), wait("hi")]
    said = [(1.0, "a", "up\n"), (3.0, "a", "hi\n")]
    report, _, told = played(tmp_path, lab(*steps), said, hands)
    assert report.verdict.passed
    assert hands.told == ["type a", "exec xl list"]
    assert [one.number for one in told] == ["1", "2", "3", "4"]
    assert [one.began for one in told] == [0.0, 1.0, 1.0, 1.0]
    assert [one.seconds for one in told] == [1.0, 0.0, 0.0, 2.0]
    assert told[2].output == "said"


def test_what_came_between_two_steps_is_not_missed(tmp_path: Path) -> None:
    """Both lines came before the first wait begins. A third wait needs a third line."""
    steps = [wait("tick"), wait("tick"), wait("tick")]
    report, _, _ = played(tmp_path, lab(*steps), [(0.0, "a", "tick 1\ntick 2\n")])
    assert outcomes(report) == ["1 passed", "2 passed", "3 failed"]


def test_a_wait_goes_on_right_behind_what_was_found(tmp_path: Path) -> None:
    """This holds inside a line too, and in a line that had no end when it matched."""
    said = [(0.0, "a", "login: "), (1.0, "a", "root\n"), (2.0, "a", "login: "), (3.0, "a", "x")]
    steps = [wait("login:"), wait("root"), wait("login:"), wait("^x", regex=True, within=5)]
    report, stage, _ = played(tmp_path, lab(*steps), said)
    assert outcomes(report)[:3] == ["1 passed", "2 passed", "3 passed"]
    assert outcomes(report)[3] == "4 failed", "^ is where a line begins, not a wait"
    assert stage.at == 7.0


@pytest.mark.parametrize("where", ["wait", "exec", "expect", "never"])
def test_an_expression_without_end_is_named_with_its_line(tmp_path: Path, where: str) -> None:
    """Then labs.yaml is wrong, which is no verdict on the guest."""
    slow, line = "(a+)+$", "a" * 10_000 + "!\n"
    wanted = {
        "wait": lab(wait(slow, regex=True)),
        "exec": lab(Step(Act.EXEC, text="x", line=7)),
        "expect": lab(wait("never"), expect=(Expectation("a", slow, True, 5.0, 7),)),
        "never": lab(wait("never"), never=(Never(slow, "", True, 7),)),
    }

    def fails(_: Step) -> None:
        pattern(slow, regex=True, line=7).search(line)

    with pytest.raises(ConfigError, match=r"^labs\.yaml:7: the regular expression .* too long"):
        played(tmp_path, wanted[where], [(0.0, "a", line)], Hands(fails))


def test_consoles_have_places_of_their_own(tmp_path: Path) -> None:
    said = [(0.0, "a", "x\n"), (0.0, "b", "x\n")]
    report, _, _ = played(tmp_path, lab(wait("x", "a"), wait("x", "b")), said)
    assert report.verdict.passed


def test_a_group_waits_for_all_at_once(tmp_path: Path) -> None:
    """They match in any order. The next wait begins behind the furthest match."""
    steps = [group(wait("two"), wait("one"), wait("b", "b")), wait("one", within=1)]
    said = [(1.0, "a", "one\n"), (2.0, "a", "two\n"), (3.0, "b", "b\n")]
    report, _, _ = played(tmp_path, lab(*steps), said)
    assert outcomes(report) == ["1.1 passed", "1.2 passed", "1.3 passed", "2 failed"]


def test_a_group_acts_while_it_watches(tmp_path: Path) -> None:
    """Its silences and waits begin together with it, before its other steps."""
    act = Step(Act.TYPE, "a", "x")

    def does(_: Step) -> None:
        (log,) = tmp_path.glob("*/a.log")
        log.write_text("answer\n")

    steps = [group(act, wait("answer"), Step(Act.SILENT, "b", within=3))]
    report, _, _ = played(tmp_path, lab(*steps), [(4.0, "b", "late\n")], Hands(does))
    assert outcomes(report) == ["1.1 passed", "1.2 passed", "1.3 passed"]
    shutil.rmtree(next(tmp_path.iterdir()))
    noisy = [group(act, Step(Act.SILENT, "a", within=3))]
    report, _, _ = played(tmp_path, lab(*noisy), [], Hands(does))
    assert outcomes(report) == ["1.1 passed", "1.2 failed"]


def test_a_step_that_fails_says_which_when_and_why(tmp_path: Path) -> None:
    """They have the number, the place in labs.yaml, the time, and the last lines, escaped."""
    steps = [wait("up"), wait("never", within=2), wait("later")]
    report, _, _ = played(tmp_path, lab(*steps), [(1.0, "a", "up\nlast\x1b[2J line\n")])
    verdict = report.verdict
    assert (verdict.layer, verdict.exit_status) == (Layer.GUEST, ExitStatus.GUEST)
    assert verdict.reason == (
        "step 2 (labs.yaml:7), wait for 'never' on a, failed after 3.000 s: "
        "'never' was not seen on the console of a within 2s"
    )
    assert verdict.tail == "up\nlast\\x1b[2J line"
    assert outcomes(report) == ["1 passed", "2 failed", "3 skipped"]


@pytest.mark.parametrize(
    ("error", "layer", "status", "outcome"),
    [
        (GuestError("no"), Layer.GUEST, ExitStatus.GUEST, "failed"),
        (ToolstackError("no"), Layer.TOOLSTACK, ExitStatus.TOOLSTACK, "error"),
        (Dom0Error("no"), Layer.DOM0, ExitStatus.PLATFORM, "error"),
    ],
)
def test_what_cannot_be_done_is_that_layers(
    tmp_path: Path, error: Exception, layer: Layer, status: ExitStatus, outcome: str
) -> None:
    def does(_: Step) -> None:
        raise error

    report, _, _ = played(tmp_path, lab(Step(Act.DESTROY, "a"), wait("x")), [], Hands(does))
    assert (report.verdict.layer, report.verdict.exit_status) == (layer, status)
    assert report.verdict.reason.endswith("failed after 0.000 s: no")
    assert outcomes(report) == [f"1 {outcome}", "2 skipped"]


def test_wrong_usage_is_no_verdict(tmp_path: Path) -> None:
    def does(_: Step) -> None:
        raise UsageError("no")

    with pytest.raises(UsageError):
        played(tmp_path, lab(Step(Act.DESTROY, "a")), [], Hands(does))


def test_silence(tmp_path: Path) -> None:
    """What came before does not count. The first byte breaks it, and the error has the line."""
    quiet = Step(Act.SILENT, "a", within=2.0)
    report, stage, _ = played(tmp_path, lab(quiet, wait("old")), [(0.0, "a", "old\n")])
    assert report.verdict.passed, "a silence takes nothing from the next wait"
    assert stage.at == 2.0
    report, stage, _ = played(tmp_path, lab(quiet), [(1.0, "a", "new line\nx")])
    assert "a was not silent for 2s; it printed: new line" in report.verdict.reason
    assert stage.at == 1.0


def test_expectations_are_watched_meanwhile(tmp_path: Path) -> None:
    """One that is late ends the run in the middle of a step. One that is left is waited for."""
    soon = Expectation("b", "soon", within=1.5)
    report, stage, _ = played(tmp_path, lab(wait("x"), expect=(soon,)), [])
    assert "'soon' was not seen" in report.verdict.reason
    assert (stage.at, outcomes(report)) == (1.5, ["1 skipped"])
    late = Expectation("b", "soon", within=9.0)
    said = [(1.0, "a", "x\n"), (5.0, "b", "soon\n")]
    report, stage, _ = played(tmp_path, lab(wait("x"), expect=(late,)), said)
    assert report.verdict.passed
    assert (stage.at, report.results[0].seen) == (5.0, 5.0)


def test_a_crash_or_a_forbidden_line_ends_a_wait(tmp_path: Path) -> None:
    """The run ends soon, and not only when the wait is over."""
    crash = (2.0, "dom0", "[ 9.0] lab: domain a crashed\n")
    report, stage, _ = played(tmp_path, lab(wait("x", within=60)), [crash])
    assert (report.crashed, stage.at, outcomes(report)) == ("a", 2.0, ["1 skipped"])
    report, stage, _ = played(
        tmp_path, lab(wait("x", within=60), never=(Never("oops"),)), [(3.0, "b", "oops\n")]
    )
    assert stage.at == 3.0
    assert "'oops' is on the console of b" in report.verdict.reason


def test_on_the_hosts_clock(tmp_path: Path) -> None:
    """The same with real files and real time. The machine's end is not the guest's fault."""
    files = Stage(tmp_path, []).files

    def does(_: Step) -> None:
        files["a"].write_text("answer\n")

    steps = [Step(Act.TYPE, "a", "x"), wait("answer"), Step(Act.SILENT, "a", within=0.05)]
    report = asyncio.run(watch(Script(lab(*steps), files), hands=Hands(does)))
    assert report.verdict.passed
    assert report.seconds >= 0.05

    async def ended() -> Report:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, stop.set)
        return await watch(Script(lab(wait("never")), files), stop=stop)

    report = asyncio.run(ended())
    assert report.verdict.layer is Layer.QEMU
    assert report.steps[0].outcome is Outcome.SKIPPED


def test_a_command_that_goes_on_does_not_hide_a_crash(tmp_path: Path) -> None:
    """On the host's clock the consoles are watched while a step does something."""
    files = Stage(tmp_path, []).files

    async def endless(_: Step) -> str:
        files["dom0"].write_text("[ 9.0] lab: domain a crashed\n")
        await asyncio.sleep(60)
        return ""

    report = asyncio.run(watch(Script(lab(Step(Act.EXEC, text="sleep 60")), files), hands=endless))
    assert report.crashed == "a"
    assert report.seconds < 10
