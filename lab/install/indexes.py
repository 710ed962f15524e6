"""What pip is configured with on this machine, in the words of uv, which does not read it.

Where packages come from is a machine's business: a company's index, a folder of wheels,
constraints, a certificate. What has no equal in uv leaves the work to pip.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

#: Sections of pip's configuration, the later ones winning (pip's manual, "Configuration").
_SECTIONS = ("global", "install", ":env:")
_LINE = re.compile(r"^(global|install|:env:)\.([\w-]+)=(.*)$", re.MULTILINE)
#: Of no consequence to what is installed.
_NO_MATTER = frozenset((
    "break-system-packages", "cache-dir", "color", "compile", "config-file", "debug",
    "disable-pip-version-check", "exists-action", "log", "no-color", "no-compile", "no-input",
    "no-python-version-warning", "no-warn-conflicts", "no-warn-script-location", "prefer-binary",
    "progress-bar", "quiet", "require-virtualenv", "resume-retries", "retries",
    "root-user-action", "upgrade-strategy", "use-feature", "verbose",
))  # fmt: skip
#: The certificates that Debian's own programs trust, pip among them.
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class OnlyPip(Exception):
    """pip is configured with something that uv has no equal of; the word says what."""


@dataclass
class UvSettings:
    """How uv must be called: variables of its environment, and options.

    Addresses are variables: they may hold a password, and options can be seen by everybody.
    """

    environment: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)


def for_uv(listing: str) -> UvSettings:
    """The words of ``pip config list``, for uv.

    Raises:
        OnlyPip: they cannot be said to uv.
    """
    wanted = UvSettings()
    # pip takes the best version of all its indexes; uv would stop at the first that has any.
    wanted.environment["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    for name in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        if name in os.environ:
            wanted.environment["SSL_CERT_FILE"] = os.environ[name]
    for key, value in settings(listing).items():
        if key in _NO_MATTER:
            continue
        if key not in _SAID:
            raise OnlyPip(key)
        _SAID[key](wanted, value)
    if _CERTIFICATES.is_file():
        wanted.environment.setdefault("SSL_CERT_FILE", str(_CERTIFICATES))
    return wanted


def settings(listing: str) -> dict[str, str]:
    """Each setting that counts for ``pip install``, by its name."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for section, key, value in _LINE.findall(listing):
        try:
            found[section][key.replace("_", "-")] = str(ast.literal_eval(value))
        except (SyntaxError, ValueError):
            raise OnlyPip(key) from None
    return {key: value for section in _SECTIONS for key, value in found[section].items()}


Say = Callable[[UvSettings, str], None]


def _variable(*names: str, between: str = " ") -> Say:
    def say(wanted: UvSettings, value: str) -> None:
        wanted.environment |= dict.fromkeys(names, between.join(value.split()))

    return say


def _option(option: str) -> Say:
    def say(wanted: UvSettings, value: str) -> None:
        for word in value.replace(",", " ").split():
            wanted.options += [option, word]

    return say


def _switch(option: str) -> Say:
    def say(wanted: UvSettings, value: str) -> None:
        if _is_on(value):
            wanted.options.append(option)

    return say


def _is_on(value: str) -> bool:
    """As pip reads it (distutils' strtobool)."""
    return value.lower() in ("1", "true", "yes", "on", "y", "t")


def _prerelease(wanted: UvSettings, value: str) -> None:
    if _is_on(value):
        wanted.environment["UV_PRERELEASE"] = "allow"


def _keyring(wanted: UvSettings, value: str) -> None:
    if value == "subprocess":
        wanted.environment["UV_KEYRING_PROVIDER"] = value
    elif value != "disabled":
        raise OnlyPip("keyring-provider")


_SAID: dict[str, Say] = {
    "index-url": _variable("UV_DEFAULT_INDEX"),
    "extra-index-url": _variable("UV_INDEX"),
    "find-links": _variable("UV_FIND_LINKS", between=","),
    "constraint": _variable("UV_CONSTRAINT"),
    "build-constraint": _variable("UV_BUILD_CONSTRAINT"),
    "cert": _variable("SSL_CERT_FILE"),
    "proxy": _variable("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"),
    "timeout": _variable("UV_HTTP_TIMEOUT"),
    "default-timeout": _variable("UV_HTTP_TIMEOUT"),
    "no-index": _switch("--no-index"),
    "no-cache-dir": _switch("--no-cache"),
    "pre": _prerelease,
    "only-binary": _option("--only-binary"),
    "no-binary": _option("--no-binary"),
    "keyring-provider": _keyring,
}
