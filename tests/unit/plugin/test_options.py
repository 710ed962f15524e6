"""The settings in the marker, on the command line and in the ini-file of the pytest plugin."""

from __future__ import annotations

import pytest

from lab import api
from plugin.seeming import USES, Given, Stage

pytest_plugins = ["pytester"]


def test_where_labs_yaml_is(stage: Stage, given: Given, pytester: pytest.Pytester) -> None:
    """Beside the ini-file; as the ini-file says, relative to it; as the option says, relative to
    the current folder."""
    text = USES.format(before='@pytest.mark.lab("hello")', body="pass")
    (pytester.path / "pytest.ini").write_text("[pytest]\n")
    given(text)
    (pytester.path / "pytest.ini").write_text("[pytest]\nlab_file = sub/labs.yaml\n")
    given(text)
    given(text, "--lab-file", "my.yaml")
    names = ("labs.yaml", "sub/labs.yaml", "my.yaml")
    assert stage.files == [pytester.path / name for name in names]


def test_the_architecture(stage: Stage, given: Given, pytester: pytest.Pytester) -> None:
    """The marker wins over the option, which wins over the ini-file."""
    plain = USES.format(before='@pytest.mark.lab("hello")', body="pass")
    marked = USES.format(before='@pytest.mark.lab("hello", arch="arm32")', body="pass")
    given(plain)
    (pytester.path / "pytest.ini").write_text("[pytest]\nlab_arch = arm64\n")
    given(plain)
    given(marked)
    given(plain, "--lab-arch=arm32")
    assert stage.archs == ["", "arm64", "arm32", "arm32"]
    given(plain, "--lab-arch=arm65").stdout.fnmatch_lines(["*no architecture 'arm65'*"])


def test_limits_of_the_ini_file(stage: Stage, given: Given, pytester: pytest.Pytester) -> None:
    text = USES.format(before='@pytest.mark.lab("hello")', body="pass")
    ini = pytester.path / "pytest.ini"
    ini.write_text("[pytest]\nlab_cpus = 3\nlab_memory = 2G\nlab_wait = 90s\n")
    given(text)
    assert stage.asked[0]["limit"] == api.Limit(api.Room(3, 2 << 30), 90.0)
    ini.write_text("[pytest]\nlab_memory = much\n")
    given(text).stdout.fnmatch_lines(["*the limit on labs: 'much'*"])


@pytest.mark.parametrize(("keep", "left"), [("all", [1, 2]), ("failed", [2])])
def test_which_run_folders_stay(stage: Stage, given: Given, keep: str, left: list[str]) -> None:
    given(
        """
        import pytest
        pytestmark = pytest.mark.lab("hello")
        def test_passes(lab): pass
        def test_fails(lab): lab.miss()
        """,
        f"--lab-keep-runs={keep}",
    ).assert_outcomes(passed=1, failed=1)
    runs = stage.folder / "runs"
    assert [one.name for one in sorted(runs.iterdir()) if (one / "1").exists()] == [
        f"hello-{number}" for number in left
    ]


def test_keeping_what_there_is_not(given: Given, pytester: pytest.Pytester) -> None:
    (pytester.path / "pytest.ini").write_text("[pytest]\nlab_keep_runs = some\n")
    result = given("def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*lab_keep_runs: 'some' is not one of all, failed"])


def test_a_run_folder_of_a_shared_lab_stays_if_one_test_failed(stage: Stage, given: Given) -> None:
    given(
        """
        import pytest
        pytestmark = pytest.mark.lab("hello", scope="session")
        def test_fails(lab): lab.miss()
        def test_passes(lab): pass
        """,
        "--lab-keep-runs=failed",
    )
    assert (stage.folder / "runs" / "hello-1" / "1").exists()


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("", "which lab? name it*@pytest.mark.lab(*"),
        ("@pytest.mark.lab", "which lab? name it*"),
        ("@pytest.mark.lab('a', 'b')", "which lab?*"),
        (
            "@pytest.mark.lab('a', scope='class')",
            "scope 'class' is not one of test, module, session",
        ),
        ("@pytest.mark.lab('a', scoop='test')", "the marker lab has no argument 'scoop'"),
    ],
)
def test_a_marker_that_is_wrong(stage: Stage, given: Given, marker: str, words: str) -> None:
    result = given(USES.format(before=marker, body="pass"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{words}"])
    assert stage.log == []


def test_templates_are_used_unless_refused(
    stage: Stage, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(USES.format(before='@pytest.mark.lab("hello", cold=True)', body="pass"))
    monkeypatch.setenv("LAB_COLD", "1")
    given(USES.format(before='@pytest.mark.lab("hello")', body="pass"))
    given(USES.format(before='@pytest.mark.lab("hello", cold=False)', body="pass"))
    assert [one["cold"] for one in stage.asked] == [True, True, False]
