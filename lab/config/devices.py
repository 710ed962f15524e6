"""Reads a guest's ``disk``, ``vif``, ``vuart`` and ``on_…`` of labs.yaml: xl's own words.

The texts are those of xl-disk-configuration(5) and xl-network-configuration(5) of Xen 4.17. What
the lab does not have is refused in words that say what there is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase
from typing import Protocol

from lab.config.yaml_source import Loc, Source
from lab.model import Disk, Ends, GuestSpec, Vif
from lab.util.terminal import quote

#: The largest disk, in bytes. Only its data takes memory in dom0, not its holes.
MOST = 16 << 30
#: The bridge of a network interface that names none.
BRIDGE = "xenbr0"
#: The first half of Xen's MAC addresses (xl-network-configuration(5)).
XEN_MAC = "00:16:3e"
_ACCESS = {"rw": True, "w": True, "ro": False, "r": False}
_FORMATS = ("qcow", "qcow2", "vhd", "qed")
_VDEV = re.compile(r"(?:xvd[a-z]|sd[a-p]|hd[a-d])(?:[1-9]|1[0-5])?")
_PREFIXES = re.compile(r"^(?:(?:phy|file|raw|tap|tap2|aio):)+")
_MAC = re.compile(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}")
_BRIDGE = re.compile(r"(?!lo$|vif)[a-zA-Z][a-zA-Z0-9_.-]{0,14}")
_RATE = re.compile(r"[0-9]{1,6}[KMG]?[Bb]/s(?:@[0-9]{1,6}[mu]?s)?")
_RAW = "make a raw image of it: qemu-img convert -O raw"
_BLKBACK = "dom0 serves every disk through blkback: leave it out"
_SCRIPT = "the lab has its own script: leave it out"
_NO_QEMU = "no QEMU runs in dom0: only Xen's own drivers (netfront) work, leave it out"
#: The words of a disk and of an interface that the lab does not have, and what there is instead.
_NO_DISK_WORDS = {
    "script": _SCRIPT,
    "backend": _BLKBACK,
    "backendtype": _BLKBACK,
    "cdrom": "a guest on ARM has no CD-ROM drive: write 'ro'",
    "devtype": "a guest on ARM has no CD-ROM drive: write 'ro'",
    "removable": "a disk stays: leave it out",
    "specification": "disks are Xen's own, not virtio's: leave it out",
    "transport": "disks are Xen's own, not virtio's: leave it out",
}
_NO_VIF_WORDS = {
    "script": _SCRIPT,
    "backend": "dom0 has every bridge: leave it out",
    "ip": "a guest sets its own address: 'ip addr add 10.0.0.2/24 dev eth0' in its init",
    "model": _NO_QEMU,
    "type": _NO_QEMU,
    "vifname": "dom0 calls it vifDOMAIN.NUMBER: leave it out",
    "gatewaydev": "there is a bridge, and no way out of the machine: leave it out",
    "netdev": "there is a bridge, and no way out of the machine: leave it out",
}
#: What the value of each word of an interface must be.
_VIF_RULES = {
    "bridge": "a bridge's name has 1 to 15 letters, digits, '.', '_' and '-', begins with a "
    "letter, and is neither 'lo' nor begins with 'vif'",
    "mac": "an interface's address has six bytes, and its first byte is even",
    "rate": "a rate is a whole number and b/s or B/s with K, M or G, and may end in @TIME",
}
#: The actions of xl that are accepted for the end of a domain.
_ACTIONS = ("preserve", "destroy", "restart")


@dataclass(frozen=True)
class DiskText:
    """A disk as it is written; ``vdev`` is empty if it is not."""

    target: str
    vdev: str = ""
    writable: bool = True


@dataclass(frozen=True)
class VifText:
    """A network interface as it is written; ``mac`` is empty if it is not."""

    bridge: str = BRIDGE
    mac: str = ""
    rate: str = ""


class Shape(Protocol):
    """What :class:`lab.config.schema.Guest` has of devices."""

    @property
    def disk(self) -> Sequence[DiskText]: ...
    @property
    def vif(self) -> Sequence[VifText]: ...
    @property
    def on_poweroff(self) -> str: ...
    @property
    def on_reboot(self) -> str: ...
    @property
    def on_watchdog(self) -> str: ...
    @property
    def on_crash(self) -> str: ...


class Finder(Protocol):
    """Looks up a file that labs.yaml names (:class:`lab.config.resolve._Paths`)."""

    def disk(self, loc: Loc, text: str, most: int) -> Path: ...


def disk(text: str) -> DiskText:
    """``root.img,raw,xvda,ro``; ``file:root.img,xvda,w``; ``format=raw, vdev=xvda, target=…``.

    Raises:
        ValueError: the text is wrong, or asks for something that the lab does not have.
    """
    before, target, rest = _target(text)
    found = {"target": rest.strip()} if target else {}
    if target and (more := [word.strip() for word in rest.split(",")[1:]]):
        _check_last(more)
    words = [word.strip() for word in before.split(",")]
    if "=" not in words[0] and not target:
        found["target"] = _PREFIXES.sub("", words.pop(0))
    for word in filter(None, words):
        key, value = _disk_word(word)
        if key in found:
            raise ValueError(f"{quote(word)}: a disk has one {quote(key)}")
        found[key] = value
    if not found.get("target"):
        raise ValueError("a disk needs a file: root.img,raw,xvda,rw")
    return DiskText(found["target"], found.get("vdev", ""), _ACCESS[found.get("access", "rw")])


def _target(text: str) -> tuple[str, str, str]:
    """xl takes everything behind ``target=`` for the file's name."""
    match = re.search(r"(?:^|,)\s*target\s*=", text)
    return (text[: match.start()], "target", text[match.end() :]) if match else (text, "", "")


def _check_last(words: Sequence[str]) -> None:
    """Words of a disk behind ``target=`` would belong to the file's name."""
    try:
        for word in words:
            _disk_word(word)
    except ValueError:
        return  # then it does belong to it
    raise ValueError(
        f"{quote(words[0])}: xl takes everything behind 'target=' for the file's name; "
        "write 'target=' last"
    )


def _disk_word(word: str) -> tuple[str, str]:
    key, is_pair, value = (part.strip() for part in word.partition("="))
    value = (value if is_pair else key).removesuffix(":disk")
    key = "cdrom" if value.endswith(":cdrom") else key
    if key in _NO_DISK_WORDS and not (key == "backendtype" and value == "phy"):
        raise ValueError(f"{quote(word)}: {_NO_DISK_WORDS[key]}")
    if value in _FORMATS:
        raise ValueError(f"{quote(word)}: a disk is a raw image; {_RAW}")
    kinds = {"format": value == "raw", "access": value in _ACCESS, "backendtype": value == "phy",
             "vdev": bool(_VDEV.fullmatch(value))}  # fmt: skip
    kind = next((name for name, fits in kinds.items() if fits), "")
    if not kind or (is_pair and key != kind):
        raise ValueError(f"{quote(word)} is not known; write FILE, raw, xvda and rw or ro")
    return kind, value


def vif(text: str) -> VifText:
    """``bridge=xenbr0, mac=00:16:3e:00:00:01, rate=10Mb/s``; empty: all by default.

    Raises:
        ValueError: the text is wrong, or asks for something that the lab does not have.
    """
    found: dict[str, str] = {}
    for word in filter(None, (word.strip() for word in text.split(","))):
        key, _, value = (part.strip() for part in word.partition("="))
        shapes = {"bridge": _BRIDGE, "mac": _MAC, "rate": _RATE}
        if (key, value) in (("type", "vif"), ("script", "vif-bridge")):
            continue
        if key in _NO_VIF_WORDS:
            raise ValueError(f"{quote(word)}: {_NO_VIF_WORDS[key]}")
        if key not in shapes:
            raise ValueError(f"{quote(word)} is not known; a vif has bridge=, mac= and rate=")
        value = value.lower() if key == "mac" else value
        if not shapes[key].fullmatch(value):
            example = {"bridge": BRIDGE, "mac": f"{XEN_MAC}:00:00:01", "rate": "10Mb/s"}[key]
            why = _VIF_RULES[key]
            raise ValueError(f"{quote(word)} is not usable; write {key}={example}: {why}")
        if key in found:
            raise ValueError(f"{quote(word)}: a vif has one {quote(key)}")
        found[key] = value
    return VifText(**found)


def vuart(text: str) -> bool:
    if text != "sbsa_uart":
        raise ValueError(f"{quote(text)} is not known; xl has one UART on ARM: sbsa_uart")
    return True


def action(text: str) -> str:
    """What ``xl`` does when a domain has ended."""
    if text.startswith("coredump-"):
        why = "dom0 has no disk for a core: write preserve, and lab.exec LAB 'xl dump-core …'"
        raise ValueError(f"{quote(text)}: {why}")
    if text not in _ACTIONS:
        raise ValueError(f"{quote(text)} is not known; write preserve, destroy or restart")
    return text


def disks(source: Source, at: Loc, finder: Finder, shape: Shape) -> tuple[Disk, ...]:
    """A guest's disks. Those that name no ``vdev`` get the first free ones: xvda, xvdb, …"""
    named = [one.vdev for one in shape.disk if one.vdev]
    free = (name for letter in ascii_lowercase if (name := f"xvd{letter}") not in named)
    found: list[Disk] = []
    for i, one in enumerate(shape.disk):
        vdev = one.vdev or next(free, "")
        if not vdev:
            text = "'disk': no name is free: xvda to xvdz are taken; name fewer disks"
            source.add((*at, "disk", i), text)
            break
        if vdev in [other.vdev for other in found]:
            source.add((*at, "disk", i), f"'disk': two disks are called {quote(vdev)}")
        path = finder.disk((*at, "disk", i), one.target, MOST)
        found.append(Disk(path, vdev, one.writable))
    return tuple(found)


def vifs(guest: str, shape: Shape) -> tuple[Vif, ...]:
    """A guest's network interfaces; the MAC addresses that are not given follow from its name."""
    return tuple(
        Vif(one.bridge, one.mac or _mac(guest, i), one.rate) for i, one in enumerate(shape.vif)
    )


def _mac(guest: str, number: int) -> str:
    digest = hashlib.sha256(f"{guest} {number}".encode()).digest()
    return f"{XEN_MAC}:{digest[0] & 0x7F:02x}:{digest[1]:02x}:{digest[2]:02x}"


def ends(source: Source, at: Loc, shape: Shape, *, traced: bool) -> Ends:
    """What follows the ends of a guest. Only a guest without a trace is restarted."""
    found = Ends(shape.on_poweroff, shape.on_reboot, shape.on_watchdog, shape.on_crash)
    for name, word in vars(found).items():
        if traced and word == "restart":
            text = "a trace ends with its domain: write preserve, or leave out 'trace'"
            source.add((*at, f"on_{name}"), f"'on_{name}': {text}")
    return found


def check_addresses(source: Source, guests: Sequence[GuestSpec]) -> None:
    """No two interfaces of a lab may have one address."""
    owners: dict[str, str] = {}
    for guest in guests:
        for vif in guest.vifs:
            if vif.mac in owners:
                who = f"guests {quote(owners[vif.mac])} and {quote(guest.name)}"
                text = f"'vif': {who} have the same address {vif.mac}"
                source.add(("guests", guest.name, "vif"), text)
            owners[vif.mac] = guest.name
