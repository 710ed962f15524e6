"""The parts of the workshop's page that others wrote: a terminal and an editor, for browsers.

They are Debian's packages. The lock pins them as it pins all others, and the server has them in
memory.
"""

from __future__ import annotations

from pathlib import Path

from lab.errors import ImageError
from lab.packages import deb
from lab.store import Store, cache_root
from lab.util import reading
from lab.workshop.provision import Supplies
from lab.workshop.questions import PAGE

_XTERM, _EDITOR = "/usr/share/javascript/xterm", "/usr/share/javascript/codemirror"
#: The name of each part on the page, and its file in the packages.
PARTS = {
    "xterm.js": f"{_XTERM}/xterm.js",
    "xterm.css": f"{_XTERM}/xterm.css",
    "xterm-fit.js": f"{_XTERM}/addons/fit/xterm-addon-fit.js",
    "codemirror.js": f"{_EDITOR}/lib/codemirror.js",
    "codemirror.css": f"{_EDITOR}/lib/codemirror.css",
    "codemirror-c.js": f"{_EDITOR}/mode/clike/clike.js",
    "codemirror-yaml.js": f"{_EDITOR}/mode/yaml/yaml.js",
}


#: The kind of the entry in the store that has all parts.
KIND = "page"
#: The limit for a part, in bytes. The largest has 400 kB.
LARGEST = 16 << 20


def page_parts(supplies: Supplies) -> dict[str, bytes]:
    """Each part by its name, as in :data:`PARTS`.

    They lie in the store. So a bundle can bring them, and no packages are needed then.

    Raises:
        ImageError: the packages cannot be had, or lack a file.
        LockError: they are not the locked ones.
    """
    store = Store(cache_root(), lambda _: supplies.fetch(PAGE), lambda: supplies.refill())
    packages = supplies.packages(PAGE)
    made_by = {"packages": {one.name: one.sha256 for one in packages}, "parts": PARTS}

    def make(folder: Path) -> None:
        tree = deb.tree(packages, set(PARTS.values()).__contains__)
        for name, path in PARTS.items():
            if not (data := tree.data(path)):
                raise ImageError(f"the packages of the page have no {path}")
            (folder / name).write_bytes(data)

    entry = store.make(KIND, made_by, make)
    return {name: reading.data(entry.image(name).path, LARGEST) for name in PARTS}
