"""Every path of one run, its manifest and its events; and where live labs keep their sockets.

A run folder is ``runs/<lab>/<id>/`` beside labs.yaml and stays. A lab folder holds what a
running lab needs and nobody keeps: sockets and FIFOs, in a private folder with a short path
(a unix socket's path has at most 107 bytes, unix(7)).
"""

from __future__ import annotations

import contextlib
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

#: How a run's life ended, in its manifest.
RUNNING, FINISHED, INTERRUPTED = "running", "finished", "interrupted"
#: A lab's id: the beginning of a sha256.
_ID = re.compile(r"[0-9a-f]{12}")


class RunDir:
    """One run's folder: where everything of it lies."""

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
        #: The hypervisor's ELF file; only of one that was built from source.
        self.symbols_file = path / "xen-syms"

    @property
    def id(self) -> str:
        return self.path.name

    def console(self, name: str) -> Path:
        """The raw log of a console: ``xen``, ``dom0`` or a guest's name."""
        return self.console_dir / f"{name}.log"

    def consoles(self) -> dict[str, Path]:
        """The consoles that have a log, by name: Xen, dom0, then the guests."""
        found = {path.stem: path for path in sorted(self.console_dir.glob("*.log"))}
        first = {name: found.pop(name) for name in ("xen", "dom0") if name in found}
        return first | found

    def manifest(self) -> dict[str, Any]:
        """The manifest; empty if there is none (yet) or it is damaged."""
        with contextlib.suppress(OSError, ValueError):
            data = reading.json_file(self.manifest_file)
            if isinstance(data, dict):
                return data
        return {}

    def update_manifest(self, **changes: Any) -> None:
        """Set fields of the manifest. That a run is over is waited for on the disk."""
        manifest = self.manifest() | changes
        text = json.dumps(manifest, indent=1, default=str)
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
    run = RunDir(_fresh(runs / lab))
    return RunDir(_make(run.path, (run.console_dir, run.guest_dir, run.trace_dir)))


def new_folder(parent: Path) -> Path:
    """The same for what is no run of one lab: an empty folder.

    Raises:
        LabError: as above.
    """
    folder = _fresh(parent)
    return _make(folder, (folder,))


def _fresh(parent: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return parent / f"{stamp}-{secrets.token_hex(2)}"


def _make(path: Path, folders: Iterable[Path]) -> Path:
    try:
        for folder in folders:
            folder.mkdir(parents=True)
        _point(path.parent / "latest", path.name)
    except OSError as error:
        raise LabError(
            f"the run folder {path} cannot be made: {error.strerror}",
            hint="make room, or make the folder writable",
        ) from error
    return path


def forget(run: RunDir) -> None:
    """Remove the folder of a run that never began; ``latest`` is the one before again."""
    files.remove_tree(run.path)
    link = run.path.parent / "latest"
    others = [path.name for path in run.path.parent.iterdir() if path.is_dir() and path != link]
    if others:
        _point(link, max(others))
        return
    link.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody begins one
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
        newest = {link.resolve() for link in runs.glob("*/latest") if link.exists()}
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
    """What a running lab needs and nobody keeps: sockets, FIFOs, its state."""

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
        """Marks the lab's machine: in its command line, whatever was recorded of it."""
        return f"xenlab-{self.id}"

    def state(self) -> dict[str, Any] | None:
        """What was last recorded of the lab; ``None`` if there is nothing or it is damaged."""
        with contextlib.suppress(OSError, ValueError):
            data = reading.json_file(self.state_file)
            if isinstance(data, dict):
                return data
        return None

    def record(self, **changes: Any) -> None:
        """Record intent or state; survives us, and ends with the host, as all that it is about."""
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

    A runtime folder of somebody else is not used: ``sudo`` may keep the variable, and root would
    make a folder there that its owner cannot use any more.

    Raises:
        LabError: the folder is not ours alone, so that its sockets could not be trusted.
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
    """Whether a runtime folder can be used: short, there, this user's and writable."""
    if not base.startswith("/") or len(base) >= 40 or not os.access(base, os.W_OK | os.X_OK):
        return False
    return Path(base).is_dir() and Path(base).stat().st_uid == os.getuid()


def lab_dir(runs: Path, lab: str) -> LabDir:
    """The folder of the lab ``lab`` whose runs lie in ``runs``: the same in every command.

    Its id depends on the very folder of live labs, too: the machine of a lab that another
    session of this user (or ``sudo``, or cron) started from the same labs.yaml has another one.
    """
    root = runtime_root()
    place = root.stat()
    identity = f"{root.resolve()}\0{place.st_dev}\0{place.st_ino}\0{runs.resolve()}\0{lab}"
    return LabDir(root / hashlib.sha256(os.fsencode(identity)).hexdigest()[:12])


def all_lab_dirs(root: Path | None = None) -> Iterator[LabDir]:
    """Every lab folder of this session, whichever project it belongs to; or of another root."""
    for path in sorted((root or runtime_root()).iterdir()):
        if path.is_dir() and path.name != "locks":
            yield LabDir(path)


def locked_labs() -> Iterator[LabDir]:
    """Every lab of this session that was ever locked, whether it has a folder now or not."""
    for path in sorted(lock_folder().iterdir()):
        if _ID.fullmatch(path.name):
            yield LabDir(runtime_root() / path.name)


def lost_lab_dirs() -> Iterator[LabDir]:
    """Labs that were locked once and whose folder is gone: somebody may have cleaned ``/tmp``."""
    yield from (lab for lab in locked_labs() if not lab.path.exists())


def lock_file(lab: LabDir) -> Path:
    """The lock that a lab holds while it lives; outside its folder, which comes and goes."""
    return lock_folder(lab.path.parent) / lab.id


def lock_folder(root: Path | None = None) -> Path:
    """The folder of the locks of all labs of this session, or of another folder of live labs."""
    folder = (root or runtime_root()) / "locks"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
