"""The parts of the workshop's page that others wrote: a terminal and an editor, for browsers.

They are Debian's packages. The lock pins them as it pins all others, and the server has them in
memory.
"""

from __future__ import annotations

from lab.errors import ImageError
from lab.packages import deb
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


def page_parts(supplies: Supplies) -> dict[str, bytes]:
    """Each part by its name, as in :data:`PARTS`.

    Raises:
        ImageError: the packages cannot be had, or lack a file.
        LockError: they are not the locked ones.
    """
    supplies.fetch(PAGE)
    tree = deb.tree(supplies.packages(PAGE), set(PARTS.values()).__contains__)
    found = {name: tree.data(path) for name, path in PARTS.items()}
    for name, data in found.items():
        if not data:
            raise ImageError(f"the packages of the page have no {PARTS[name]}")
    return found
