"""Bundles in a registry of OCI artifacts (OCI image and distribution specifications, 1.1).

The artifact has one layer, which is the bundle's file, with a media type of our own. The client is
``oras``. It reads the credentials that ``docker login`` stores.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MethodType
from typing import Any

import oras.logger
import oras.oci
import requests
from oras.container import Container
from oras.provider import Registry

from lab.bundle import download
from lab.bundle.file import opened
from lab.errors import BundleError
from lab.util import files, reading
from lab.util.terminal import escape

#: The media type of the layer.
BUNDLE = "application/vnd.xenlab.bundle.v1+tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
#: Seconds until a registry must accept a connection, and between two pieces of an answer.
PATIENCE = (5.0, 60.0)
#: The largest manifest that a registry must accept, in bytes (OCI distribution specification).
LARGEST_MANIFEST = 4 << 20
#: Registries on this machine are asked without TLS, as docker does.
_HERE = ("localhost", "127.")


@dataclass(frozen=True)
class Stored:
    """A bundle in a registry. ``reference`` has the manifest's digest, so it names these bytes."""

    reference: str
    sha256: str
    size: int


def push(file: Path, reference: str) -> Stored:
    """Store a bundle in a registry, under a reference such as ``registry.example/labs:hello``.

    Raises:
        BundleError: the file is not a bundle, the registry does not answer, or it refuses it.
    """
    with opened(file) as bundle:
        lock = bundle.contents.lock
    with _asked(reference) as (registry, place), tempfile.TemporaryDirectory() as work:
        named = Path(work, f"{lock[:16]}.bundle")
        named.symlink_to(file.absolute())
        answer = registry.push(
            place, files=[f"{named}:{BUNDLE}"], disable_path_validation=True, quiet=True,
            manifest_annotations={"dev.xenlab.lock": lock},
        )  # fmt: skip
        digest = answer.headers.get("Docker-Content-Digest", "")
    whole = f"{place.registry}/{place.api_prefix}@{digest}" if digest else reference
    return Stored(whole, files.sha256_file(file), file.stat().st_size)


def pull(reference: str, file: Path) -> Stored:
    """Write the bundle of a reference into a file, whole or not at all.

    After a break the next pull into this file goes on where this one was.

    Raises:
        BundleError: there is none, it has other bytes than its digest says, or the registry does
            not answer. OSError: the file cannot be written.
    """
    with _asked(reference) as (registry, place):
        raw = _manifest(registry, place, reference)
        layer = _layer(raw, reference)
        download.fetch(registry, place, layer, file)
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    whole = f"{place.registry}/{place.api_prefix}@{digest}"
    return Stored(whole, layer["digest"].removeprefix("sha256:"), file.stat().st_size)


@contextlib.contextmanager
def _asked(reference: str) -> Iterator[tuple[Any, Any]]:
    """A registry and a place in it. What goes wrong in the block is told in words."""
    try:
        place = Container(reference)
    except (ValueError, TypeError, AttributeError):
        place = None
    if place is None or "/" not in reference:
        raise BundleError(
            f"{escape(reference)!r} is no reference",
            hint="write it like registry.example/labs/hello:tag, or with @sha256:…",
        )
    try:
        yield _registry(place), place
    except requests.exceptions.RequestException as error:
        raise BundleError(
            f"the registry {place.registry} does not answer: {_reason(error)}",
            hint="check the reference, the network and the proxy; what was fetched is kept",
        ) from error
    except (ValueError, KeyError, TypeError, oras.auth.AuthenticationException) as error:
        raise BundleError(
            f"the registry {place.registry} refuses {reference}: {_reason(error)}",
            hint="check the reference; docker login stores the credentials that are used",
        ) from error


def _registry(place: Any) -> Any:
    """The client of a registry. Each request is made once, and has an end."""
    oras.logger.setup_logger(quiet=True)
    here = place.registry.startswith(_HERE)
    registry = Registry(hostname=place.registry, insecure=here)
    once = Registry.do_request.__wrapped__  # oras repeats a request for two minutes
    registry.do_request = MethodType(once, registry)
    registry.session.request = partial(registry.session.request, timeout=PATIENCE)
    registry.auth.load_configs(place)
    return registry


def _manifest(registry: Any, place: Any, reference: str) -> bytes:
    """The manifest's bytes. If the reference has a digest, they have it."""
    address = f"{registry.prefix}://{place.manifest_url()}"
    answer = registry.do_request(address, "GET", headers={"Accept": _MANIFEST})
    if answer.status_code != 200:
        raise ValueError(f"{answer.status_code} {answer.reason}")
    raw: bytes = answer.content
    if place.digest and place.digest != f"sha256:{hashlib.sha256(raw).hexdigest()}":
        raise BundleError(f"the registry sent another manifest than that of {reference}")
    return raw


def _layer(raw: bytes, reference: str) -> dict[str, Any]:
    """The layer with the bundle."""
    layers = reading.parse_json(raw)["layers"] if len(raw) <= LARGEST_MANIFEST else []
    if len(layers) != 1 or layers[0]["mediaType"] != BUNDLE:
        raise BundleError(f"{reference} is not a bundle", hint="bundle.push stores one")
    return dict(layers[0])


def _reason(error: Exception) -> str:
    return escape(str(error), limit=200)
