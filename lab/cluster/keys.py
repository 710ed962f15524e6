"""Who may use a cluster: whoever has its key.

The key is a file with a private key and its own certificate, in PEM. The engine takes it as
certificate and as authority of TLS on all sides. So scheduler, workers and clients that have the
file trust each other, and nobody else. Without a key (an address with ``tcp:``) nothing is checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from distributed import Security

from lab import rundir
from lab.errors import LabError, UsageError
from lab.util import files, reading

#: The name of the key's file in the private folder of live labs.
NAME = "cluster.pem"


@dataclass(frozen=True)
class Access:
    """A cluster's address, such as ``tls://192.0.2.1:8786``, and the file of its key.

    Without a file, the one that ``cluster.up`` made on this machine is used, else what the
    engine's own configuration says.
    """

    address: str
    key: Path | None = None

    def security(self) -> Security:
        """What the engine wants to know.

        Raises:
            UsageError: the file is missing or has no key.
        """
        if not self.address.startswith("tls://"):
            return Security()
        file = self.key or usual()
        if self.key or file.exists():
            return of(file)
        found = Security()
        if not found.get_tls_config_for_role("client").get("ca_file"):
            raise _no_key(file, "it is missing")
        return found


def usual() -> Path:
    """The key of the clusters that this user starts on this machine."""
    return rundir.lock_folder() / NAME


def of(file: Path) -> Security:
    """The engine's description of a key.

    Raises:
        UsageError: the file is missing or has no key.
    """
    try:
        text = reading.data(file).decode()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "") or "it is no text"
        raise _no_key(file, why) from error
    begin = text.find("-----BEGIN CERTIFICATE-----")
    if begin < 0 or "PRIVATE KEY-----" not in text:
        raise _no_key(file, "it has no private key with a certificate")
    key, certificate = text[:begin], text[begin:]
    sides = {f"tls_{side}_{what}": value
             for side in ("scheduler", "worker", "client")
             for what, value in (("key", key), ("cert", certificate))}  # fmt: skip
    return Security(require_encryption=True, tls_ca_file=certificate, **sides)


def make(file: Path) -> None:
    """Write a new key, unless there is one. Only its owner can read it. Of several clusters that
    start at the same moment, all have the same key."""
    with files.locked(rundir.lock_folder() / f"{NAME}.lock"):
        if not file.exists():
            fresh = Security.temporary()
            files.write_private(file, f"{fresh.tls_client_key}{fresh.tls_client_cert}")


@contextlib.contextmanager
def readable(address: str) -> Iterator[None]:
    """Turn the engine's errors while it connects into words."""
    try:
        yield
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        why = _first(error) or "nobody answers"
        raise LabError(
            f"there is no cluster at {address} that lets us in: {why}",
            hint="start one (./inv cluster.up), or give the file of its key with --key",
        ) from error


def _first(error: BaseException) -> str:
    """The words of the error from which another one came; empty if only a time ran out."""
    while before := error.__cause__ or error.__context__:
        error = before
    if isinstance(error, asyncio.CancelledError):
        return ""
    words = getattr(error, "strerror", "") or str(error) or type(error).__name__
    return words.strip().splitlines()[0]


def named(address: str, key: str) -> Access:
    """The cluster that a person names.

    Raises:
        UsageError: the address is not one.
    """
    if "://" not in address:
        address = f"tls://{address}"
    if not address.startswith(("tls://", "tcp://")) or not address.rpartition(":")[2].isdigit():
        raise UsageError(f"{address} is not the address of a cluster",
                         hint="such as tls://192.0.2.1:8786; cluster.up prints it")  # fmt: skip
    key = key or os.environ.get("LAB_CLUSTER_KEY", "")
    return Access(address, Path(key) if key else None)


def _no_key(file: Path, why: str) -> UsageError:
    hint = "copy the file that cluster.up names, and give it with --key"
    return UsageError(f"{file} is not the key of a cluster: {why}", hint=hint)
