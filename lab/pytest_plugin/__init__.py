"""The pytest plugin: labs as fixtures of tests (docs/pytest.md).

Every pytest in the environment loads this, so the rest of the project is imported only when used.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab import api
    from lab.progress import Progress

SCOPES = ("test", "module", "session")
KEEP = ("all", "failed")
MARKER = (
    "lab(name, scope='test', cold=None, arch=None): the lab of labs.yaml that the fixture `lab` "
    "starts; scope: test, module or session; cold: boot it, even if there is a template; "
    "arch: arm32 or arm64, whatever labs.yaml and the options say"
)
#: Options of the command line that the ini-file can set, too.
OPTIONS = {
    "file": "the file that describes the labs (default: labs.yaml beside the ini-file)",
    "door": "toolchain: auto, docker, rootfs, host",
    "arch": "the architecture of all labs: arm32 or arm64 (default: what labs.yaml says)",
    "keep_runs": "which run folders to keep: all (the default), or only those of tests that failed",
}
#: Settings that only the ini-file has.
SETTINGS = {
    "cpus": "processors that all labs together may use (default: all)",
    "memory": "memory that all labs together may use, such as 4G (default: 3/4 of the machine's)",
    "wait": "how long a test waits for room for its lab (default: 600s)",
}

#: A test's labs, with those that failed to start: name and run folder.
_RUNS = pytest.StashKey[list[tuple[str, Path]]]()
#: The running labs that a test has.
_LENT = pytest.StashKey[list["api.RunningLab"]]()
#: A session's listener for lines from workers.
_LISTENER = pytest.StashKey[Any]()
#: A session's run folders of tests that failed.
_FAILED = pytest.StashKey[set[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lab", "labs: Xen and its guests under QEMU")
    for name, words in OPTIONS.items():
        choices = {"choices": ("all", "failed")} if name == "keep_runs" else {}
        group.addoption(
            f"--lab-{name.replace('_', '-')}", dest=f"lab_{name}", help=words, **choices
        )
    for name, words in (OPTIONS | SETTINGS).items():
        parser.addini(f"lab_{name}", words, default="")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if (keep := _setting(config, "keep_runs")) not in ("", *KEEP):
        raise pytest.UsageError(f"lab_keep_runs: {keep!r} is not one of {', '.join(KEEP)}")


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[api.RunningLab]:
    """A running lab of labs.yaml. `@pytest.mark.lab("NAME")` says which, and for how long.

    Or by parameter: `@pytest.mark.parametrize("lab", ["NAME", …], indirect=True)`.
    """
    request.node.stash[_RUNS], request.node.stash[_LENT] = [], []
    wanted = _wanted(request)
    if wanted.scope == "test":
        shelf = _Shelf(request.config)
        try:
            yield shelf.lend(wanted, request.node)
        finally:
            shelf.close()
    else:
        yield request.getfixturevalue(f"_labs_of_{wanted.scope}").lend(wanted, request.node)


@pytest.fixture(scope="module")
def _labs_of_module(pytestconfig: pytest.Config) -> Iterator[_Shelf]:
    yield from _shelf(pytestconfig)


@pytest.fixture(scope="session")
def _labs_of_session(pytestconfig: pytest.Config) -> Iterator[_Shelf]:
    yield from _shelf(pytestconfig)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """A test fails if a guest, Xen or dom0 crashed after the test last looked."""
    __tracebackhide__ = True
    yield
    for running in item.stash.get(_LENT, []):
        running.check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test's report shows its labs. A failure below the guests counts as an error."""
    report = yield
    runs = item.stash.get(_RUNS, [])
    if report.failed and runs:
        _attach(report, item, runs)
        if call.when == "call" and call.excinfo and _is_infrastructure(call.excinfo.value):
            report.when = "setup"  # pytest, its plugins and JUnit call that an error
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a new worker of pytest-xdist, which has no terminal, a place to send lines to."""
    from lab.pytest_plugin import terminal_lines

    if _LISTENER not in node.config.stash:
        node.config.stash[_LISTENER] = terminal_lines.listen(node.config)
    if listener := node.config.stash[_LISTENER]:
        node.workerinput[terminal_lines.LISTENS] = listener.place


def pytest_unconfigure(config: pytest.Config) -> None:
    if listener := config.stash.get(_LISTENER, None):
        listener.close()
        del config.stash[_LISTENER]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """If a worker of pytest-xdist crashed, take down its labs."""
    if error and _file(node.config).is_file():
        from lab import api

        api.clean(_context(node.config))


@dataclass(frozen=True)
class _Wanted:
    """Which lab a test wants. ``cold`` is as in :func:`lab.api.lab`.

    ``arch``: its architecture; empty: what the options or labs.yaml say.
    """

    name: str
    scope: str
    cold: bool
    arch: str = ""


class _Shelf:
    """The labs of one scope, which are taken down together."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._labs: dict[_Wanted, api.RunningLab] = {}

    def lend(self, wanted: _Wanted, item: pytest.Item) -> api.RunningLab:
        """The lab, started if it does not run. The test sees the consoles from now on."""
        running = self._labs.get(wanted)
        if running and running.sound:
            running.skip()
        else:
            if running:
                running.close()
            running = self._labs[wanted] = _start(self._config, wanted, item)
        item.stash[_LENT].append(running)
        item.stash[_RUNS].append((running.name, running.run_dir))
        item.user_properties.append(("lab-run", str(running.run_dir)))
        return running

    def close(self) -> None:
        """Take all labs down, even if one of them fails."""
        while self._labs:
            _, running = self._labs.popitem()
            try:
                running.close()
            finally:
                self._keep(running.run_dir)
                self.close()

    def _keep(self, run: Path) -> None:
        failed = self._config.stash.get(_FAILED, set())
        if _setting(self._config, "keep_runs") != "failed" or run in failed:
            return
        shutil.rmtree(run, ignore_errors=True)
        latest = run.parent / "latest"
        if latest.is_symlink() and not latest.exists():
            latest.unlink(missing_ok=True)


def _shelf(config: pytest.Config) -> Iterator[_Shelf]:
    shelf = _Shelf(config)
    try:
        yield shelf
    finally:
        shelf.close()


def _start(config: pytest.Config, wanted: _Wanted, item: pytest.Item) -> api.RunningLab:
    from lab import api
    from lab.errors import LabError
    from lab.pytest_plugin import terminal_lines
    from lab.util import signals

    signals.like_ctrl_c()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    owner = " ".join(filter(None, ("pytest", worker, item.nodeid)))
    try:
        limit = api.limit(*(_setting(config, name) for name in SETTINGS))
        with terminal_lines.told(config, wanted.name, item.nodeid) as progress:
            return api.start_lab(
                wanted.name, _context(config, progress, wanted.arch), cold=wanted.cold,
                numbered=True, limit=limit, owner=owner,
            )  # fmt: skip
    except LabError as error:
        if error.run:
            item.stash[_RUNS].append((error.run.parent.name, error.run))
        layer = f"[{error.layer}] " if error.layer else ""
        words = f"lab {wanted.name}: {layer}{api.as_called(str(error))}"
    pytest.fail(words, pytrace=False)


def _wanted(request: pytest.FixtureRequest) -> _Wanted:
    from lab.util.environment import switched_on

    marker = request.node.get_closest_marker("lab")
    words: tuple[Any, ...] = marker.args if marker else ()
    options: Mapping[str, Any] = marker.kwargs if marker else {}
    name = getattr(request, "param", words[0] if len(words) == 1 else None)
    scope = options.get("scope", "test")
    wrong = [
        *([] if isinstance(name, str) else ['which lab? name it: @pytest.mark.lab("NAME")']),
        *([] if scope in SCOPES else [f"scope {scope!r} is not one of {', '.join(SCOPES)}"]),
        *(
            f"the marker lab has no argument {one!r}"
            for one in sorted(options.keys() - {"scope", "cold", "arch"})
        ),
    ]
    if wrong:
        pytest.fail(f"{request.node.nodeid}: {'; '.join(wrong)}", pytrace=False)
    cold = options.get("cold")
    everywhere = switched_on("LAB_COLD")
    return _Wanted(
        str(name), scope, everywhere if cold is None else bool(cold), options.get("arch") or ""
    )


def _attach(report: pytest.TestReport, item: pytest.Item, runs: list[tuple[str, Path]]) -> None:
    from lab import api

    for name, run in runs:
        item.config.stash.setdefault(_FAILED, set()).add(run)
        report.sections.append((f"lab {name}", f"run folder: {run}\n"))
        for console, lines in api.tails(run).items():
            report.sections.append((f"console {console} of lab {name}", f"{lines}\n"))


def _is_infrastructure(error: BaseException) -> bool:
    """Whether the failure is not the guest's fault."""
    errors = sys.modules.get("lab.errors")
    if errors is None or not isinstance(error, errors.LabError):
        return False
    return error.layer is not None and not isinstance(error, errors.GuestError)


def _context(
    config: pytest.Config, progress: Progress | None = None, arch: str = ""
) -> api.Context:
    from lab import api

    wanted = api.architecture(arch or _setting(config, "arch"))
    context = api.Context(_file(config), _setting(config, "door") or None, arch=wanted)
    return replace(context, progress=progress) if progress else context


def _file(config: pytest.Config) -> Path:
    """The labs file: an option is relative to the current folder, a setting to the ini-file."""
    if given := config.getoption("lab_file"):
        return config.invocation_params.dir / str(given)
    base = config.inipath.parent if config.inipath else config.rootpath
    return base / (str(config.getini("lab_file")) or "labs.yaml")


def _setting(config: pytest.Config, name: str) -> str:
    option = config.getoption(f"lab_{name}", None)
    return str(option or config.getini(f"lab_{name}"))
