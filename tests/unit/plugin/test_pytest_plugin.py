"""The pytest plugin with fake labs; the system tests use real ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab.errors import BusyError, ConfigError, HypervisorError, MachineError
from plugin.seeming import USES, Given, Stage

pytest_plugins = ["pytester"]


def test_a_lab_for_each_test(stage: Stage, given: Given) -> None:
    """The marker names it. It is taken down after the test, whatever the result."""
    result = given("""
        import pytest
        @pytest.mark.lab("hello")
        @pytest.mark.parametrize("n", [1, 2])
        def test_it(lab, n):
            assert lab.name == f"hello-{n}"
        @pytest.mark.lab("other")
        def test_fails(lab):
            assert False
    """)
    result.assert_outcomes(passed=2, failed=1)
    ups = [
        f"{word} {name}" for name in ("hello-1", "hello-2", "other-3") for word in ("up", "down")
    ]
    assert stage.log == ups
    assert all(one["numbered"] and one["limit"] and not one["cold"] for one in stage.asked)
    assert stage.asked[0]["owner"].startswith("pytest ")
    assert "test_it[1]" in stage.asked[0]["owner"]


@pytest.mark.parametrize(("scope", "ups"), [("test", 4), ("module", 2), ("session", 1)])
def test_scopes(
    stage: Stage, given: Given, pytester: pytest.Pytester, scope: str, ups: int
) -> None:
    """Shared by a module or a session: each further test sees what is printed from then on."""
    text = f"""
        import pytest
        pytestmark = pytest.mark.lab("hello", scope={scope!r})
        def test_one(lab): pass
        def test_two(lab): pass
    """
    pytester.makepyfile(test_other=text)
    given(text).assert_outcomes(passed=4)
    assert sum(word.startswith("up") for word in stage.log) == ups
    assert sum(word.startswith("down") for word in stage.log) == ups
    assert sum(word.startswith("skip") for word in stage.log) == 4 - ups
    assert stage.log[-1] == f"down hello-{ups}"


def test_a_shared_lab_that_died_is_started_again(stage: Stage, given: Given) -> None:
    given("""
        import pytest
        pytestmark = pytest.mark.lab("hello", scope="module")
        def test_one(lab): lab.lose()
        def test_two(lab): assert lab.alive
    """).assert_outcomes(passed=1, errors=1)
    assert stage.log == ["up hello-1", "down hello-1", "up hello-2", "down hello-2"]


def test_a_guest_that_crashed_unseen_fails_the_test(stage: Stage, given: Given) -> None:
    """It is a failure, not an error. The next test with the shared lab gets a sound one."""
    result = given("""
        import pytest
        pytestmark = pytest.mark.lab("hello", scope="module")
        def test_one(lab): lab.crash()
        def test_two(lab): assert lab.sound
    """)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*GuestCrashed: guest hello: its domain crashed*"])
    result.stdout.no_fnmatch_line("*lab/pytest_plugin/*")
    assert stage.log == ["up hello-1", "down hello-1", "up hello-2", "down hello-2"]


def test_labs_by_parameter(stage: Stage, given: Given) -> None:
    given("""
        import pytest
        @pytest.mark.parametrize("lab", ["hello", "pinned"], indirect=True)
        def test_it(lab): pass
    """).assert_outcomes(passed=2)
    assert [word for word in stage.log if "up" in word] == ["up hello-1", "up pinned-2"]


def test_what_the_guest_did_wrong_is_a_failure(stage: Stage, given: Given) -> None:
    """With the last lines, the consoles and the run folder, and nothing of our own code."""
    before = '@pytest.mark.lab("hello")'
    result = given(USES.format(before=before, body="lab.miss()"), "--junitxml=out.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        "*NotSeen: 'x' was not seen on the console of hello within 1s",
        "*last lines:",
        "*a b c",
        "*- lab hello-1 -*",
        f"run folder: {stage.folder}/runs/hello-1/1",
        "*- console xen of lab hello-1 -*", "(XEN) words of Xen",
        "*- console hello of lab hello-1 -*", "words of the guest",
    ])  # fmt: skip
    junit = (stage.folder / "out.xml").read_text()
    assert 'failures="1"' in junit
    assert 'name="lab-run"' in junit


def test_what_the_machine_did_wrong_is_an_error(stage: Stage, given: Given) -> None:
    """It is an error for pytest and for JUnit, because the test then says nothing about the
    guest."""
    before = '@pytest.mark.lab("hello")'
    result = given(USES.format(before=before, body="lab.lose()"), "--junitxml=out.xml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*MachineError: QEMU ended by itself*", "*words of Xen*"])
    junit = (stage.folder / "out.xml").read_text()
    assert 'errors="1" failures="0"' in junit
    assert stage.log == ["up hello-1", "down hello-1"]


@pytest.mark.parametrize(
    "error",
    [
        HypervisorError("Xen panicked", tail="(XEN) Panic on CPU 0"),
        ConfigError("labs.yaml:3:5: unknown key 'kernle'"),
        BusyError("no room for lab hello: taken by lab other (pytest gw1)"),
    ],
)
def test_a_lab_that_does_not_come_up_is_an_error_without_traceback(
    stage: Stage, given: Given, error: Exception
) -> None:
    stage.fails = error
    result = given(USES.format(before='@pytest.mark.lab("hello")', body="pass"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"lab hello: *{str(error).splitlines()[0]}"])
    result.stdout.no_fnmatch_line("*lab/pytest_plugin/*")


def test_the_run_folder_of_a_boot_that_failed_is_shown(stage: Stage, given: Given) -> None:
    error = MachineError("QEMU ended by itself")
    error.run = stage.folder / "runs" / "hello-1" / "7"
    (error.run / "console").mkdir(parents=True)
    (error.run / "console" / "xen.log").write_text("(XEN) that was all\n")
    stage.fails = error
    result = given(USES.format(before='@pytest.mark.lab("hello")', body="pass"))
    result.stdout.fnmatch_lines([f"run folder: {error.run}", "(XEN) that was all"])


def test_an_unknown_lab_is_an_error_at_labs_yaml(
    given: Given, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This uses the real API, which stops before anything is booted or built."""
    (pytester.path / "k.bin").write_bytes(b"x")
    file = pytester.path / "labs.yaml"
    file.write_text("guests: {g: {kernel: k.bin}}\nlabs: {hello: {guests: [g]}}\n")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(pytester.mkdir("rt")))
    result = given(USES.format(before='@pytest.mark.lab("helo")', body="pass"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["lab helo: no lab 'helo'*hello*", f"*{file}"])


def test_without_a_lab_nothing_is_imported() -> None:
    """Every pytest of the environment loads the plugin, so it must cost almost nothing."""
    code = "import sys, lab.pytest_plugin; print([m for m in sys.modules if m.startswith('lab')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['lab', 'lab.pytest_plugin']"
