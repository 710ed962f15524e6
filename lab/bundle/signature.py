"""Who made a bundle: a signature of minisign, in the file beside it (``.minisig``)."""

from __future__ import annotations

from pathlib import Path

import minisign

from lab.errors import BundleError, UsageError
from lab.util import reading
from lab.util.terminal import escape

SUFFIX = ".minisig"
#: The limit for a key or a signature, in bytes. Both have a few hundred.
LARGEST = 16 << 10


def check(file: Path, key: str) -> str:
    """Check that a file was signed with a key. Returns the comment that was signed with it.

    ``key``: a public key of minisign: its base64 text, or the file ``minisign.pub``.

    Raises:
        UsageError: it is no public key.
        BundleError: there is no signature, or it is of another key or of other bytes.
    """
    public = _key(key)
    beside = file.with_name(file.name + SUFFIX)
    try:
        signature = minisign.Signature.from_bytes(reading.data(beside, LARGEST))
        public.verify_file(file, signature)
    except OSError as error:
        words = f"the signature {beside} cannot be read: {error.strerror}"
        raise BundleError(words, hint=f"minisign -S -m {file.name} makes it") from error
    except (minisign.Error, ValueError) as error:
        raise BundleError(
            f"the bundle {file} was not signed with this key: {escape(str(error), limit=120)}",
            hint="do not use it, unless you can say why",
        ) from error
    return escape(signature.trusted_comment, limit=200)


def _key(key: str) -> minisign.PublicKey:
    try:
        path = Path(key)
        if len(key) < 4096 and path.exists():
            return minisign.PublicKey.from_bytes(reading.data(path, LARGEST))
        return minisign.PublicKey.from_base64(key)
    except (minisign.Error, ValueError, OSError) as error:
        raise UsageError(
            f"--key {escape(key, limit=80)} is no public key of minisign",
            hint="give the file minisign.pub, or its second line",
        ) from error
