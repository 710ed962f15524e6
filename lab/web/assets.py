"""The files that make up the pages: ours, and the parts of others that the server got."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.util import reading

_FOLDER = Path(__file__).parent / "assets"
#: The types of files, by how their names end.
TYPES = {
    ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
}  # fmt: skip


class Assets:
    """Files by name. ``parts``: those of others, such as ``xterm.js``."""

    def __init__(self, parts: Mapping[str, bytes]) -> None:
        own = {path.name: reading.data(path) for path in sorted(_FOLDER.iterdir())}
        self._files = {**parts, **own}

    def find(self, name: str) -> tuple[bytes, str] | None:
        """A file's bytes and its type; ``None`` if there is none of that name."""
        data = self._files.get(name)
        return None if data is None else (data, TYPES.get(Path(name).suffix, "text/plain"))

    def page(self, name: str) -> str:
        """The text of a page of ours."""
        return self._files[name].decode()
