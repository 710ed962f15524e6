"""`disk`, `vif`, `vuart` and what follows a guest's end: xl's own words, read or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import zimage

from lab import config
from lab.config import devices
from lab.config.devices import DiskText, VifText
from lab.errors import ConfigError
from lab.model import Disk, GuestSpec
from lab.plan import plan, xl_config

#: What people write (xl-disk-configuration(5), and configurations from public repositories).
DISKS = {
    "root.img": DiskText("root.img"),
    "root.img,raw,xvda,rw": DiskText("root.img", "xvda"),
    "my root.img, raw, xvda1, ro": DiskText("my root.img", "xvda1", writable=False),
    "file:/srv/xen/root.img,xvda1,w": DiskText("/srv/xen/root.img", "xvda1"),
    "phy:disk.img,hda,r": DiskText("disk.img", "hda", writable=False),
    "/a.img,,xvdb,w": DiskText("/a.img", "xvdb"),
    "tap:aio:/srv/a.raw,xvda:disk,w": DiskText("/srv/a.raw", "xvda"),
    "format=raw, vdev=xvda, access=rw, target=a=b,c.img": DiskText("a=b,c.img", "xvda"),
    "vdev=sdb,access=ro,backendtype=phy,format=raw,target=x": DiskText("x", "sdb", writable=False),
}
NO_DISKS = {
    "": "a disk needs a file",
    "vdev=xvda": "a disk needs a file",
    "root.qcow2,qcow2,xvda,rw": "a disk is a raw image; make a raw image of it: qemu-img",
    "a,raw,xvdaa,rw": "'xvdaa' is not known; write FILE, raw, xvda and rw or ro",
    "a,raw,xvda,rw,ro": "'ro': a disk has one 'access'",
    "a,raw,xvda,cdrom": "'cdrom': a guest on ARM has no CD-ROM drive",
    "file:/u.iso,hdc:cdrom,r": "'hdc:cdrom': a guest on ARM has no CD-ROM drive: write 'ro'",
    "phy:/dev/a, xvda1, backendtype=standalone, specification=virtio": "dom0 serves every disk",
    "a,xvda,specification=virtio": "disks are Xen's own, not virtio's",
    "backendtype=qdisk,vdev=xvda,target=a": "'backendtype=qdisk': dom0 serves every disk through",
    "backend=DomD,vdev=xvda,target=a": "'backend=DomD': dom0 serves every disk",
    "script=block-drbd,vdev=xvda,target=a": "'script=block-drbd': the lab has its own script",
    "access=xvda,target=a": "'access=xvda' is not known",
    "target=d.img, format=raw": "'format=raw': xl takes everything behind 'target=' for the file's",
    "vdev=xvda,target=d.img,ro,raw": "'ro': xl takes everything behind 'target='",
}
VIFS = {
    "": VifText(),
    "bridge=br0": VifText("br0"),
    "mac=00:16:3E:11:22:33, bridge=xenbr0": VifText(mac="00:16:3e:11:22:33"),
    "script=vif-bridge,bridge=br0": VifText("br0"),
    "type=vif, rate=10Mb/s@20ms": VifText(rate="10Mb/s@20ms"),
}
NO_VIFS = {
    "mac=01:16:3e:11:22:33": "is not usable; write mac=00:16:3e:00:00:01",
    "bridge=a b": "is not usable; write bridge=xenbr0",
    "bridge=lo": "is not usable; write bridge=xenbr0: a bridge's name has 1 to 15 letters",
    "bridge=": "'bridge=' is not usable; write bridge=xenbr0: a bridge's name",
    "rate=fast": "is not usable; write rate=10Mb/s",
    "ip=10.0.0.5": "a guest sets its own address",
    "script=vif-nat": "the lab has its own script",
    "model=e1000": "no QEMU runs in dom0",
    "type=ioemu": "no QEMU runs in dom0",
    "bridge=a,bridge=b": "a vif has one 'bridge'",
    "xenbr0": "'xenbr0' is not known; a vif has bridge=, mac= and rate=",
}


def read(folder: Path, words: str, more: str = "") -> GuestSpec:
    (folder / "k").write_bytes(zimage())
    (folder / "a.img").write_bytes(b"a")
    (folder / "b.img").write_bytes(b"b")
    text = f"guests:\n  g: {{kernel: k, {words}}}\n{more}labs:\n  one: {{guests: [g]}}\n"
    (folder / "labs.yaml").write_text(text)
    return config.find_startable(config.load(folder / "labs.yaml"), "one").guests[0]


@pytest.mark.parametrize(("text", "wanted"), DISKS.items())
def test_disks_as_people_write_them(text: str, wanted: DiskText) -> None:
    assert devices.disk(text) == wanted


@pytest.mark.parametrize(("text", "wanted"), VIFS.items())
def test_vifs_as_people_write_them(text: str, wanted: VifText) -> None:
    assert devices.vif(text) == wanted


@pytest.mark.parametrize(("text", "wrong"), NO_DISKS.items())
def test_a_disk_that_the_lab_does_not_have(text: str, wrong: str) -> None:
    """The error says what there is instead."""
    with pytest.raises(ValueError, match=wrong):
        devices.disk(text)


@pytest.mark.parametrize(("text", "wrong"), NO_VIFS.items())
def test_a_vif_that_the_lab_does_not_have(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        devices.vif(text)


def test_what_xl_is_told(tmp_path: Path) -> None:
    """Disks without a name get the free ones; addresses follow from the guest's name."""
    words = 'disk: [b.img, "a.img,raw,xvda,ro"], vif: ["", "bridge=br1"], vuart: sbsa_uart'
    guest = read(tmp_path, f"{words}, on_reboot: restart")
    assert guest.disks == (
        Disk(tmp_path / "b.img", "xvdb"), Disk(tmp_path / "a.img", "xvda", writable=False),
    )  # fmt: skip
    told = xl_config(guest).splitlines()
    assert told[-7:-4] == [
        'vuart = "sbsa_uart"',
        'disk = ["format=raw,vdev=xvdb,access=rw,backendtype=phy,script=block,'
        'target=/lab/guests/g.xvdb", "format=raw,vdev=xvda,access=ro,backendtype=phy,script=block,'
        'target=/lab/guests/g.xvda"]',
        'vif = ["mac=00:16:3e:1b:47:78,bridge=xenbr0", "mac=00:16:3e:13:6c:88,bridge=br1"]',
    ]
    assert 'on_reboot = "restart"' in told
    assert guest == read(tmp_path, f"{words}, on_reboot: restart"), "the same every time"


def test_a_uart_has_a_console(tmp_path: Path) -> None:
    """Scenarios name it, and dom0 has a port for it."""
    read(tmp_path, "vuart: sbsa_uart")
    text = (tmp_path / "labs.yaml").read_text().replace(
        "guests: [g]}", "guests: [g], expect: [{on: g-vuart0, line: hello}]}"
    )  # fmt: skip
    (tmp_path / "labs.yaml").write_text(text)
    lab = config.load(tmp_path / "labs.yaml").labs["one"]
    assert plan(lab).consoles == ("xen", "dom0", "g", "g-vuart0")


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("disk: 'a.img,xvda', vif: 'bridge'", "2:43: 'bridge' is not usable; write bridge="),
        ("disk: ['a.img,xvda', 'b.img,xvda']", "2:39: 'disk': two disks are called 'xvda'"),
        ("disk: a.img,raw", "2:30: 'raw' has no value; text with a comma needs quotation marks"),
        ("disk: {file: a.img}", "2:24: 'disk' must be a list"),
        (f"disk: [{', '.join(['a.img'] * 30)}]", "2:207: 'disk': no name is free: xvda to"),
        ("disk: nothing.img", "2:24: 'disk': no such file: 'nothing.img'"),
        ("disk: empty.img", "2:24: 'disk': 'empty.img' is empty"),
    ],
)
def test_where_a_mistake_is(tmp_path: Path, words: str, wrong: str) -> None:
    (tmp_path / "empty.img").touch()
    with pytest.raises(ConfigError, match=wrong):
        read(tmp_path, words)


def test_names_and_addresses_that_two_would_have(tmp_path: Path) -> None:
    """No guest has the name of a UART's console; a lab has each address once."""
    with pytest.raises(ConfigError, match="'g-vuart0' would be the name of a UART's console"):
        read(tmp_path, "vuart: sbsa_uart", "  g-vuart0: {kernel: k}\n")
    mac = 'vif: "mac=00:16:3e:00:00:01"'
    read(tmp_path, mac, f"  h: {{kernel: k, {mac}}}\n")
    text = (tmp_path / "labs.yaml").read_text().replace("[g]", "[g, h]")
    (tmp_path / "labs.yaml").write_text(text)
    with pytest.raises(ConfigError, match="'vif': guests 'g' and 'h' have the same address"):
        config.load(tmp_path / "labs.yaml")


def test_a_traced_guest_is_not_restarted(tmp_path: Path) -> None:
    (tmp_path / "labs.yaml").write_text(
        "guests:\n  g: {freertos: ., trace: true, on_crash: restart}\nlabs: {one: {guests: [g]}}\n"
    )
    with pytest.raises(ConfigError, match="2:43: 'on_crash': a trace ends with its domain"):
        config.load(tmp_path / "labs.yaml")
