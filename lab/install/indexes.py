"""Translates this machine's configuration of pip for uv, which does not read it.

The configuration says where packages come from: a company's index, a folder of wheels,
constraints, a certificate. If a setting has no equivalent in uv, pip must do the work.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

#: Sections of pip's configuration. Later ones override earlier ones (pip's manual,
#: "Configuration").
_SECTIONS = ("global", "install", ":env:")
_LINE = re.compile(r"^(global|install|:env:)\.([\w-]+)=(.*)$", re.MULTILINE)
#: Settings that do not change what is installed.
_IRRELEVANT = frozenset((
    "break-system-packages", "cache-dir", "color", "compile", "config-file", "debug",
    "disable-pip-version-check", "exists-action", "log", "no-color", "no-compile", "no-input",
    "no-python-version-warning", "no-warn-conflicts", "no-warn-script-location", "prefer-binary",
    "progress-bar", "quiet", "require-virtualenv", "resume-retries", "retries",
    "root-user-action", "upgrade-strategy", "use-feature", "verbose",
))  # fmt: skip
#: The certificates that Debian's own programs trust. Debian's pip is one of them.
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class OnlyPip(Exception):
    """uv has no equivalent of a setting of pip. The message is the setting's name."""


@dataclass
class UvSettings:
    """How uv must be called: the variables of its environment, and its options.

    Addresses are passed as variables: they may contain a password, and every user of the machine
    can see a program's options.
    """

    environment: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)


def for_uv(listing: str) -> UvSettings:
    """The output of ``pip config list``, translated for uv.

    Raises:
        OnlyPip: uv has no equivalent of a setting.
    """
    wanted = UvSettings()
    # pip takes the best version from all its indexes. By default uv takes the first index that
    # has the package.
    wanted.environment["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    for name in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        if name in os.environ:
            wanted.environment["SSL_CERT_FILE"] = os.environ[name]
    for key, value in settings(listing).items():
        if key in _IRRELEVANT:
            continue
        if key not in _TRANSLATIONS:
            raise OnlyPip(key)
        _TRANSLATIONS[key](wanted, value)
    if _CERTIFICATES.is_file():
        wanted.environment.setdefault("SSL_CERT_FILE", str(_CERTIFICATES))
    return wanted


def settings(listing: str) -> dict[str, str]:
    """The settings that apply to ``pip install``: name → value.

    Raises:
        OnlyPip: a value is not a Python literal, as pip writes them.
    """
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
    """Whether pip takes a value as true (``distutils.util.strtobool``)."""
    return value.lower() in ("1", "true", "yes", "on", "y", "t")


def _prerelease(wanted: UvSettings, value: str) -> None:
    if _is_on(value):
        wanted.environment["UV_PRERELEASE"] = "allow"


def _keyring(wanted: UvSettings, value: str) -> None:
    if value == "subprocess":
        wanted.environment["UV_KEYRING_PROVIDER"] = value
    elif value != "disabled":
        raise OnlyPip("keyring-provider")


_TRANSLATIONS: dict[str, Say] = {
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
