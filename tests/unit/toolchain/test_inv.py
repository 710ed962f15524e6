"""The wrapper makes its environment once, redoes what was cut off, and says little."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

#: A Python that "installs" by writing an invoke that prints how it was called.
_PYTHON = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
-c*) exit "${OLD:-0}" ;;
--version) echo Python 3.9.2 ;;
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip "*)
    sleep "${SLOW:-0}"
    if [ -n "${BROKEN:-}" ]; then echo "ERROR: no matching distribution"; exit 1; fi
    printf '#!/bin/sh\\necho "$PWD|$*"\\n' >"${0%/python}/invoke"
    chmod +x "${0%/python}/invoke" ;;
esac
"""


class Checkout:
    """A copy of ``inv`` in a folder with a space in its name."""

    def __init__(self, folder: Path, inv: Path) -> None:
        self.folder = folder / "my lab"
        self.calls_file = folder / "calls"
        self.folder.mkdir()
        shutil.copy(inv, self.folder / "inv")
        (self.folder / "pyproject.toml").write_text("one")
        self.python = folder / "python"
        self.python.write_text(_PYTHON)
        self.python.chmod(0o755)

    def start(self, *argv: str, **env: str) -> subprocess.Popen[str]:
        line = [str(self.folder / "inv"), *argv]
        more = {
            "LAB_PYTHON": str(self.python),
            "CALLS": str(self.calls_file),
            "HOME": "/nonexistent",
        }
        return subprocess.Popen(
            line,
            env={"PATH": os.environ["PATH"]} | more | env,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *argv: str, **env: str) -> tuple[int, str, str]:
        process = self.start(*argv, **env)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def installs(self) -> int:
        return self.calls_file.read_text().count("-m pip install")


@pytest.fixture
def checkout(tmp_path: Path, root: Path) -> Checkout:
    return Checkout(tmp_path, root / "inv")


def test_the_first_call_makes_the_environment(checkout: Checkout) -> None:
    """One line says so; tasks are found from any folder, which stays the current one."""
    status, out, err = checkout.run("lab.up", "two words")
    assert status == 0
    assert out == f"/|--search-root {checkout.folder} lab.up two words\n"
    assert len(err.splitlines()) == 1
    assert "first time" in err


def test_the_second_call_only_runs(checkout: Checkout) -> None:
    """Silently."""
    checkout.run()
    assert checkout.run()[2] == ""
    assert checkout.installs() == 1


def test_a_changed_pyproject_is_installed_again(checkout: Checkout) -> None:
    """Into the same environment."""
    checkout.run()
    (checkout.folder / "pyproject.toml").write_text("two")
    assert "updating" in checkout.run()[2]
    assert checkout.installs() == 2


def test_a_moved_checkout_is_made_anew(checkout: Checkout) -> None:
    """Scripts in it name the old folder."""
    checkout.run()
    old = checkout.folder
    checkout.folder = old.rename(old.parent / "moved")
    assert checkout.run()[1].startswith(f"/|--search-root {checkout.folder}")
    assert checkout.installs() == 2


def test_what_was_cut_off_is_done_again(checkout: Checkout) -> None:
    """The stamp is written last. The installer that was left alone is waited for."""
    process = checkout.start(SLOW="0.3")
    while not checkout.calls_file.exists() or checkout.installs() == 0:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert checkout.run()[0] == 0
    assert checkout.installs() == 2


def test_two_at_once_install_once(checkout: Checkout) -> None:
    """The second waits for the first."""
    both = [checkout.start(SLOW="0.3") for _ in range(2)]
    assert [process.communicate(timeout=30) and process.returncode for process in both] == [0, 0]
    assert checkout.installs() == 1


def test_a_failed_install_shows_the_last_lines(checkout: Checkout) -> None:
    """With what to do; the next call tries again."""
    status, _, err = checkout.run(BROKEN="1")
    assert status == 3
    assert "no matching distribution" in err
    assert "what to do" in err
    assert checkout.run()[0] == 0


def test_an_old_python_is_refused_plainly(checkout: Checkout, tmp_path: Path) -> None:
    """With the version that was found."""
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        shutil.copy(checkout.python, tmp_path / name)
    path = f"{tmp_path}:{os.environ['PATH']}"
    status, _, err = checkout.run(OLD="1", PATH=path)
    assert status == 3
    assert "3.11 or newer" in err
    assert "3.9.2" in err


def test_it_is_one_screenful_of_plain_sh(root: Path) -> None:
    """Checked by a POSIX shell."""
    assert len((root / "inv").read_text().splitlines()) < 90
    subprocess.run(["sh", "-n", str(root / "inv")], check=True)
