"""The wrapper makes its environment once, repeats what was interrupted, and prints little."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.api import first_start as ahead
from lab.cli import first_start
from lab.model import ARM32
from lab.progress import Progress

#: A Python that "installs" by writing a xenlab that prints how it was called, and a uv that
#: does the same. ``lab.install`` itself is run by a real one.
_PYTHON = """#!/bin/sh
case "$1 $2" in
"-B -c") exec "$REAL" "$@" ;;
"-c import sys; sys.exit("*) exit "${OLD:-0}" ;;
esac
echo "${0##*/} $*" >>"$CALLS"
made() { printf '#!/bin/sh\\necho "$PWD|$*"\\n' >"${0%/*}/xenlab" && chmod +x "${0%/*}/xenlab"; }
case "${0##*/} $*" in
"python -c "*) exit 0 ;;
"python --version") echo Python 3.9.2 ;;
"python -m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
*"config list") printf "${CONFIG:-}" ;;
"python -m pip "*" uv")
    if [ -n "${NO_UV:-}" ]; then echo "ERROR: no uv"; exit 1; fi
    cp "$0" "${0%/*}/uv" ;;
"uv pip "*)
    sleep "${SLOW:-0}"
    env | grep -E '^(UV_|SSL_)' | sort >>"$CALLS"
    if [ -n "${BROKEN_UV:-}" ]; then echo "error: it is broken"; exit 2; fi
    echo "Installed 7 packages in 3ms"
    made ;;
"python -m pip "*)
    if [ -n "${BROKEN:-}" ]; then echo "ERROR: no matching distribution"; exit 1; fi
    made ;;
esac
"""


class Checkout:
    """``inv`` and ``lab`` in a folder with a space in its name."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder / "my lab"
        self.calls_file = folder / "calls"
        self.folder.mkdir()
        shutil.copy(root / "inv", self.folder / "inv")
        (self.folder / "lab").symlink_to(root / "lab")
        (self.folder / "pyproject.toml").write_text("one")
        self.python = folder / "python"
        self.python.write_text(_PYTHON)
        self.python.chmod(0o755)

    def start(self, *argv: str, **env: str) -> subprocess.Popen[str]:
        line = [str(self.folder / "inv"), *argv]
        more = {
            "LAB_PYTHON": str(self.python),
            "REAL": sys.executable,
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
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    def installs(self) -> int:
        """How often the project was installed, by whichever installer."""
        return sum("--editable" in line for line in self.calls())


@pytest.fixture
def checkout(tmp_path: Path, root: Path) -> Checkout:
    return Checkout(tmp_path, root)


def test_the_first_call_makes_the_environment(checkout: Checkout) -> None:
    """It says so. Tasks are found from any folder, which stays the current one."""
    status, out, err = checkout.run("lab.up", "two words")
    assert status == 0
    assert out == "/|lab.up two words\n"
    assert "first time" in err.splitlines()[0]
    assert "(7 packages, by uv)" in err.splitlines()[-1]
    assert not any("dev" in line for line in checkout.calls())


def test_the_second_call_only_runs(checkout: Checkout) -> None:
    """It prints nothing of its own."""
    checkout.run()
    assert checkout.run()[2] == ""
    assert checkout.installs() == 1


def test_a_changed_pyproject_is_installed_again(checkout: Checkout) -> None:
    """Into the same environment. What the tests need is installed when they are run."""
    checkout.run()
    (checkout.folder / ".venv/.stamp-dev").write_text("made before")
    (checkout.folder / "pyproject.toml").write_text("two")
    assert "updating" in checkout.run()[2]
    assert checkout.installs() == 2
    assert not (checkout.folder / ".venv/.stamp-dev").exists()


def test_a_moved_checkout_is_made_anew(checkout: Checkout) -> None:
    """Scripts in the environment contain the old path."""
    checkout.run()
    old = checkout.folder
    checkout.folder = old.rename(old.parent / "moved")
    (checkout.folder / ".venv/old").touch()
    assert checkout.run()[1] == "/|\n"
    assert checkout.installs() == 2
    assert not (checkout.folder / ".venv/old").exists()


def test_what_was_cut_off_is_done_again(checkout: Checkout) -> None:
    """The stamp is written last. If an installer is still running, the next call waits for it."""
    process = checkout.start(SLOW="1")
    while checkout.installs() == 0:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert checkout.run()[0] == 0
    assert checkout.installs() == 2


def test_it_is_interrupted_at_once(checkout: Checkout) -> None:
    """By SIGTERM or Ctrl-C, with a message; the installer ends too."""
    process = checkout.start(SLOW="50")
    while checkout.installs() == 0:
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.endswith("interrupted; the next ./inv continues\n")
    assert "Traceback" not in err


def test_two_at_once_install_once(checkout: Checkout) -> None:
    """The second waits for the first."""
    both = [checkout.start(SLOW="0.3") for _ in range(2)]
    assert [process.communicate(timeout=60) and process.returncode for process in both] == [0, 0]
    assert checkout.installs() == 1


def test_a_failed_install_shows_the_last_lines(checkout: Checkout) -> None:
    """With what to do. The next call tries again."""
    status, _, err = checkout.run(BROKEN="1", NO_UV="1")
    assert status == 3
    assert "no matching distribution" in err
    assert "what to do" in err
    assert checkout.run()[0] == 0


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"NO_UV": "1"}, "uv cannot be downloaded"),
        ({"BROKEN_UV": "1"}, "uv said: error: it is broken"),
        ({"LAB_INSTALLER": "pip"}, "LAB_INSTALLER=pip"),
        ({"CONFIG": "global.require-hashes='true'\\n"}, "pip is configured with require-hashes"),
    ],
)
def test_pip_is_the_way_back(checkout: Checkout, environment: dict[str, str], why: str) -> None:
    """pip installs if uv cannot be downloaded, fails, or lacks a setting of pip. A message says
    why."""
    status, out, err = checkout.run(**environment)
    assert (status, bool(out)) == (0, True)
    assert f"(by pip: {why}" in err.splitlines()[-1]
    assert "-m pip" in [line for line in checkout.calls() if "--editable" in line][-1]


def test_uv_takes_packages_from_where_pip_does(checkout: Checkout) -> None:
    """The addresses are in its environment, not in its options, which everybody can see."""
    config = (
        "global.index-url='https://me:secret@index.test/simple'\\n"
        "install.extra-index-url='https://a.test https://b.test'\\n"
        ":env:.find-links='/wheels /more'\\n"
        "global.constraint='/limits.txt'\\n"
        "global.cert='/own.crt'\\n:env:.timeout='180'\\nfreeze.timeout='3'\\n"
    )
    assert checkout.run(CONFIG=config)[0] == 0
    assert [line for line in checkout.calls() if line.startswith(("UV_", "SSL_"))] == [
        "SSL_CERT_FILE=/own.crt",
        "UV_CONSTRAINT=/limits.txt",
        "UV_DEFAULT_INDEX=https://me:secret@index.test/simple",
        "UV_FIND_LINKS=/wheels,/more",
        "UV_HTTP_TIMEOUT=180",
        "UV_INDEX=https://a.test https://b.test",
        "UV_INDEX_STRATEGY=unsafe-best-match",
    ]
    assert not any("secret" in line for line in checkout.calls() if line.startswith("uv "))


def test_an_old_python_is_refused_plainly(checkout: Checkout, tmp_path: Path) -> None:
    """With the version that was found."""
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        (tmp_path / name).write_text('#!/bin/sh\n[ "$1" = -c ] && exit 1\necho Python 3.9.2\n')
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    status, _, err = checkout.run(OLD="1", PATH=path)
    assert status == 3
    assert "3.11 or newer" in err
    assert "3.9.2" in err


def test_it_is_one_screenful_of_plain_sh(root: Path) -> None:
    """Checked by a POSIX shell."""
    assert len((root / "inv").read_text().splitlines()) < 40
    subprocess.run(["sh", "-n", str(root / "inv")], check=True)


def test_a_link_to_it_finds_its_folder(checkout: Checkout, tmp_path: Path) -> None:
    """Also through PATH, and through a link to a link."""
    (tmp_path / "one").symlink_to(checkout.folder / "inv")
    (tmp_path / "two").symlink_to("one")
    assert checkout.run("--version")[0] == 0
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    argv = ["two", "--version"]
    done = subprocess.run(argv, env=path, cwd="/", capture_output=True, check=True, text=True)
    assert done.stdout == "/|--version\n"


def test_python_alone_can_make_it(root: Path) -> None:
    """Nothing is imported that must be installed first."""
    code = """import sys
sys.path.insert(0, sys.argv[1])
from lab.api import first_start as ahead
from lab.cli import first_start
print(first_start, ahead)"""
    line = [sys.executable, "-I", "-S", "-c", code, str(root)]
    subprocess.run(line, check=True, cwd="/", env={"PATH": ""})


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("lab.up", True),
        ("lab.run selftest --json", True),
        ("", False),
        ("lab.list", False),
        ("lab.up hello --labs=mine.yaml", False),
        ("lab.up -d docker", False),
        ("lab.up --plan", False),
    ],
)
def test_what_is_made_beside_the_environment(words: str, needed: bool) -> None:
    assert first_start.needs_toolchain(words.split()) is needed


def test_nothing_that_goes_wrong_beside_it_is_an_error(tmp_path: Path) -> None:
    """The task that follows meets the same problem, and reports it."""
    (tmp_path / "labs.lock").write_text("no lock")
    ahead.make_toolchain(tmp_path / "labs.yaml", Progress(quiet=True), ARM32)
