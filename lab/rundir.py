"""The folder of a run, and the folder of a live lab.

A run folder, ``runs/<lab>/<id>/`` beside labs.yaml, stays. A live lab's folder holds only what
the lab needs while it runs: sockets and FIFOs. It is private, and its path is short, because the
path of a unix socket has at most 107 bytes (unix(7)).
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.util import files, reading

#: How a run's life ended, in its manifest. ``LOST``: its machine ended by itself, or the command
#: that looked after it died.
RUNNING, FINISHED, INTERRUPTED, LOST = "running", "finished", "interrupted", "lost"
#: The most names that are tried for a new folder.
NAMES = 100
#: A lab's id: the beginning of a sha256.
_ID = re.compile(r"[0-9a-f]{12}")


class RunDir:
    """One run's folder, and the paths of everything in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.console_dir = path / "console"
        self.guest_dir = path / "guest"
        self.trace_dir = path / "trace"
        self.collected_dir = path / "collected"
        self.manifest_file = path / "manifest.json"
        self.events_file = path / "events.jsonl"
        self.times_file = self.console_dir / "times"
        self.qemu_log = path / "qemu.log"
        #: The hypervisor's ELF file. Only a hypervisor built from source has one.
        self.symbols_file = path / "xen-syms"

    @property
    def id(self) -> str:
        return self.path.name

    def console(self, name: str) -> Path:
        """The raw log of a console: ``xen``, ``dom0`` or a guest's name."""
        return self.console_dir / f"{name}.log"

    def consoles(self) -> dict[str, Path]:
        """The logs by the console's name: Xen, dom0, then the guests. Only those that exist."""
        found = {path.stem: path for path in sorted(self.console_dir.glob("*.log"))}
        first = {name: found.pop(name) for name in ("xen", "dom0") if name in found}
        return first | found

    def manifest(self) -> dict[str, Any]:
        """The manifest; empty if there is none yet, or it is damaged."""
        with contextlib.suppress(OSError, ValueError):
            data = reading.json_file(self.manifest_file)
            if isinstance(data, dict):
                return data
        return {}

    def update_manifest(self, **changes: Any) -> None:
        """Set fields of the manifest. Once the run is over, wait until that is on the disk."""
        manifest = self.manifest() | changes
        lines = (
            f" {json.dumps(key)}: {json.dumps(manifest[key], default=str)}" for key in manifest
        )
        text = "{\n" + ",\n".join(lines) + "\n}"  # json's own indentation takes ten times as long
        over = manifest.get("life", RUNNING) != RUNNING
        files.write_atomic(self.manifest_file, text + "\n", durable=over)

    def event(self, kind: str, **data: Any) -> None:
        """Append one event with its time (seconds of the host's clock since the epoch)."""
        line = json.dumps({"time": round(time.time(), 6), "event": kind, **data}, default=str)
        files.append(self.events_file, line + "\n")


def new_run(runs: Path, lab: str) -> RunDir:
    """Make the folder of a new run and point ``latest`` at it.

    Raises:
        LabError: the folder cannot be made (read-only, full).
    """
    return RunDir(_make(runs / lab, ("console", "guest", "trace")))


def new_folder(parent: Path) -> Path:
    """Make a new empty folder for something else than a run, with ``latest`` as above.

    Raises:
        LabError: the folder cannot be made (read-only, full).
    """
    return _make(parent)


def _make(parent: Path, folders: Iterable[str] = ()) -> Path:
    """A new folder with these in it."""
    try:
        path = _fresh(parent)
        for name in folders:
            (path / name).mkdir()
        _point(parent / "latest", path.name)
    except OSError as error:
        raise LabError(
            f"a run folder cannot be made in {parent}: {error.strerror}",
            hint="make room, or make the folder writable",
        ) from error
    return path


def _fresh(parent: Path) -> Path:
    """A new empty folder. If two of thousands of runs get the same name, another one is tried."""
    for _ in range(NAMES):
        with contextlib.suppress(FileExistsError):
            path = parent / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
            path.mkdir(parents=True)
            return path
    raise FileExistsError(errno.EEXIST, "all names are taken")


def forget(run: RunDir) -> None:
    """Remove the folder of a run that never began; ``latest`` points at the one before again."""
    files.remove_tree(run.path)
    not_the_latest(run)


def not_the_latest(run: RunDir) -> None:
    """Let ``latest`` point at the newest of the other runs; without any, there is no ``latest``."""
    link = run.path.parent / "latest"
    others = [path.name for path in run.path.parent.iterdir()
              if path.is_dir() and path not in (link, run.path)]  # fmt: skip
    if others:
        _point(link, max(others))
        return
    link.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty: another run begins
        run.path.parent.rmdir()


def latest_run(runs: Path, lab: str) -> RunDir | None:
    """The newest run of a lab, if it ever ran."""
    link = runs / lab / "latest"
    return RunDir(link.resolve()) if link.exists() else None


def find_run(runs: Path, word: str) -> RunDir | None:
    """The run that a person means, if there is one.

    ``word``: a run's folder, its id, ``latest`` (of all labs), ``NAME`` (its latest), or
    ``NAME/latest`` and ``NAME/id``.
    """
    folder = Path(word)
    tries = [folder] if folder.is_absolute() or word.startswith(".") else []
    tries += [runs / word / "latest", runs / word, *sorted(runs.glob(f"*/{glob.escape(word)}"))]
    if word == "latest":
        newest = {file.parent.resolve() for file in runs.glob("*/latest/manifest.json")}
        tries = sorted(newest, key=lambda run: (run.name, str(run)))[-1:]
    for path in [*tries, folder]:
        if (path / "manifest.json").is_file() or (path / "trace").is_dir():
            return RunDir(path.resolve())
    return None


def _point(link: Path, target: str) -> None:
    fresh = link.with_name(f".latest-{secrets.token_hex(4)}")
    fresh.symlink_to(target)
    fresh.replace(link)


class LabDir:
    """The folder of a live lab: sockets, FIFOs and its state. It goes when the lab ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.qmp_socket = path / "qmp.sock"
        self.gdb_socket = path / "gdb.sock"
        self.agent_socket = path / "agent.sock"
        self.state_file = path / "state.json"

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def tag(self) -> str:
        """Names the lab in QEMU's command line, so that its machine is found without a record."""
        return f"xenlab-{self.id}"

    def state(self) -> dict[str, Any] | None:
        """What was last recorded of the lab; ``None`` if there is nothing or it is damaged."""
        with contextlib.suppress(OSError, ValueError):
            data = reading.json_file(self.state_file)
            if isinstance(data, dict):
                return data
        return None

    def record(self, **changes: Any) -> None:
        """Record intent or state. The record need not outlive the host: no machine does."""
        text = json.dumps((self.state() or {}) | changes, indent=1)
        files.write_atomic(self.state_file, text, durable=False)

    def make(self) -> None:
        """Make the folder, private and empty."""
        files.remove_tree(self.path)
        self.path.mkdir(mode=0o700, parents=True)
        self.path.chmod(0o700)

    def remove(self) -> None:
        files.remove_tree(self.path)


def runtime_root() -> Path:
    """The private folder of live labs: ``$XDG_RUNTIME_DIR/xenlab`` or ``/tmp/xenlab-<uid>``.

    Another user's runtime folder is not used: ``sudo`` may keep the variable, and then root would
    make a folder there that its owner could not use.

    Raises:
        LabError: it is not private to this user, so its sockets cannot be trusted.
    """
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    root = Path(base) / "xenlab" if _is_ours(base) else Path(f"/tmp/xenlab-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        root.mkdir(mode=0o700)
    seen = root.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o077:
        raise LabError(
            f"{root} is not a private folder of this user",
            hint=_whose(root, seen),
        )
    return root


def _whose(root: Path, seen: os.stat_result) -> str:
    if seen.st_uid not in (os.getuid(), 0):
        return f"it belongs to user {seen.st_uid}: set XDG_RUNTIME_DIR to a folder of your own"
    return f"remove {root}, or set XDG_RUNTIME_DIR to a folder of your own"


def _is_ours(base: str) -> bool:
    """Whether a runtime folder can be used: a short path, it exists, ours, writable."""
    if not base.startswith("/") or len(base) >= 40 or not os.access(base, os.W_OK | os.X_OK):
        return False
    return Path(base).is_dir() and Path(base).stat().st_uid == os.getuid()


def lab_dir(runs: Path, lab: str) -> LabDir:
    """The folder of a live lab, by its name and the folder of its runs: the same in every command.

    The id also depends on the folder of live labs. So if another session of this user (``sudo``,
    cron) starts a lab from the same labs.yaml, that lab has another id.
    """
    root = runtime_root()
    place = root.stat()
    identity = f"{root.resolve()}\0{place.st_dev}\0{place.st_ino}\0{runs.resolve()}\0{lab}"
    return LabDir(root / hashlib.sha256(os.fsencode(identity)).hexdigest()[:12])


def all_lab_dirs(root: Path | None = None) -> Iterator[LabDir]:
    """Every live lab's folder in this session, or below ``root``, of whatever labs.yaml."""
    for path in sorted((root or runtime_root()).iterdir()):
        if path.is_dir() and path.name != "locks":
            yield LabDir(path)


def claimed_labs() -> Iterator[LabDir]:
    """Every lab of this session that was ever claimed, whether it has a folder now or not."""
    for path in sorted(lock_folder().iterdir()):
        if _ID.fullmatch(path.name):
            yield LabDir(runtime_root() / path.name)


def lost_lab_dirs() -> Iterator[LabDir]:
    """Labs that were claimed once and have no folder: they ended, or somebody cleaned ``/tmp``."""
    yield from (lab for lab in claimed_labs() if not lab.path.exists())


def claim_file(lab: LabDir) -> Path:
    """The file whose flock(2) is the claim on a lab. It outlives the lab's folder."""
    return lock_folder(lab.path.parent) / lab.id


def lock_folder(root: Path | None = None) -> Path:
    """The folder of all locks, claims among them: of this session, or of other live labs."""
    folder = (root or runtime_root()) / "locks"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
