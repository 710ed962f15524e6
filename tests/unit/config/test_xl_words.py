"""Keys of xl.cfg: accepted if the lab has what they ask for, else refused with an answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import zimage

from lab import config
from lab.config import cpus, schema, xl_words
from lab.errors import ConfigError
from lab.model import GuestSpec
from lab.plan import xl_config

#: Of a guest in a lab with four CPUs: what is written, and what is not as it is without.
UNDERSTOOD = {
    'extra: "console=hvc0 root=/dev/xvda"': {"cmdline": "console=hvc0 root=/dev/xvda"},
    "root: /dev/ram0, extra: quiet": {"cmdline": "root=/dev/ram0 quiet"},
    "root: /dev/ram0": {"cmdline": "root=/dev/ram0"},
    "maxmem: 32M": {"memory": 32 << 20},
    "maxmem: 32M, memory: 32M": {"memory": 32 << 20},
    "maxvcpus: 2, vcpus: 2": {"vcpus": 2},
    'cpus: "all,^0"': {"cpus": (1, 2, 3)},
    'cpus: "0-3,^1"': {"cpus": (0, 2, 3)},
    "cpus: all": {},
    "cpus: 1-2": {"cpus": (1, 2)},
    'cpus: "0,2"': {"cpus": (0, 2)},
    "cpus: [0, 2-3]": {"cpus": (0, 2, 3)},
    "cpus: 3": {"cpus": (3,)},
    "name: g": {},
    "on_crash: preserve, on_poweroff: preserve, on_reboot: preserve": {},
    "disk: [], vif: []": {},
    "type: pvh, gic_version: v2, tee: none, passthrough: disabled, pool: Pool-0": {},
}
REFUSED = {
    'vif: ["bridge=xen br0"]': "2:24: 'bridge=xen br0' is not usable; write bridge=xenbr0",
    "disk: ['a,raw,xvda']": "2:25: 'disk': no such file: 'a' in ",
    "vuart: ns16550": "2:25: 'vuart': 'ns16550' is not known; xl has one UART on ARM: sbsa_uart",
    "cpu_weight: 512": r"'cpu_weight' is a key of xl.cfg only: write scheduler: \{weight: …\}",
    "bootloader: pygrub": "'bootloader' is a key of xl.cfg only: .* its 'kernel' and 'ramdisk'",
    "viridian: 1": "'viridian' is a key of xl.cfg only: it does nothing on this machine",
    "on_crash: remove": "2:28: 'on_crash': 'remove' is not known; write preserve, des",
    "on_crash: coredump-restart": "'on_crash': 'coredump-restart': dom0 has no disk for a core",
    "type: hvm": "'type': every guest on ARM is a PVH guest; leave it out",
    "gic_version: v3": "'gic_version': the machine has a GICv2",
    "name: h": "2:24: 'name': the guest's name is its key, 'g'; leave",
    "maxmem: 32": "2:26: 'maxmem': '32' is not a size; write 32M for mebibytes",
    "maxmem: 64M, memory: 32M": "'maxmem': must be the same as 'memory'",
    "maxmem: [1]": "'maxmem': ",
    "maxvcpus: 2": "'maxvcpus': a guest always has all of its vCPUs",
    "extra: quiet, cmdline: a": "2:18: xl ignores 'extra' if there is 'cmdline'",
    "extra: [a]": "'extra': must be text",
    'cpus: "^1"': r"'cpus': '\^1' leaves no CPU; begin with all or a range",
    'cpus: "3-1"': "'3-1' is an empty range",
    'cpus: "nodes:0"': "'nodes:0' is not a CPU; the machine has only one NUMA node",
    "cpus: 8": "'8' is not a CPU; write numbers from 0 to 7",
    "cpus: {a: 1}": "'cpus': must be CPUs such as 1",
    "cpus: 4": "lab 'one' has no CPU 4: it has 4",
    "cpus: [1, 1]": "'1' is in the list twice",
    "kernle: x": "unknown key 'kernle'; did you mean 'kernel'",
}
#: What xl_parse.c of Xen 4.17 reads of a guest's file (those of devices are in their own list).
WORDS = """
    bootloader bootloader_args builder cmdline cpu_weight cpus cpus_soft cap device_tree disk dtdev
    driver_domain extra extratime gic_version iomem ioports irqs kernel latency localtime
    max_event_channels max_grant_frames max_maptrack_frames maxmem maxvcpus memory name nodes
    nomigrate on_crash on_poweroff on_reboot on_soft_reset on_watchdog passthrough pci period pool
    ramdisk root seclabel serial shadow_memory slice tee type usbctrl usbdev uuid vcpus vfb vif
    vkb vnc vnuma vpmu vtpm vuart budget init_seclabel device_model_version nestedhvm acpi hap
""".split()  # noqa: SIM905


def read(folder: Path, words: str) -> GuestSpec:
    (folder / "k").write_bytes(zimage())
    text = f"guests:\n  g: {{kernel: k, {words}}}\nlabs:\n  one: {{cpus: 4, guests: [g]}}\n"
    (folder / "labs.yaml").write_text(text)
    labs = config.load(folder / "labs.yaml")
    guest = config.find_startable(labs, "one").guests[0]
    assert config.find_guest(labs, "g", into="one") == guest
    return guest


@pytest.mark.parametrize(("words", "wanted"), UNDERSTOOD.items())
def test_what_we_have_is_understood(tmp_path: Path, words: str, wanted: dict[str, object]) -> None:
    """Nothing else changes, in what xl is told either."""
    plain = read(tmp_path, "vcpus: 1")
    found = read(tmp_path, words)
    differs = {key for key in vars(plain) if key not in ("places", "cpus_of_all")
               and getattr(plain, key) != getattr(found, key)}  # fmt: skip
    assert {key: getattr(found, key) for key in differs} == wanted
    assert (xl_config(found) == xl_config(plain)) == (not wanted)


@pytest.mark.parametrize(("words", "wrong"), REFUSED.items())
def test_of_what_we_have_not_it_is_said_what_there_is(
    tmp_path: Path, words: str, wrong: str
) -> None:
    with pytest.raises(ConfigError, match=wrong):
        read(tmp_path, words)


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_known(word: str) -> None:
    """No key of xl is taken for a typing mistake."""
    ours = schema.Guest.model_fields
    assert word in ours or word in ("root", "extra") or word in xl_words.READ or (
        xl_words.instead(word)
    )  # fmt: skip


def test_a_word_counts_in_guests_alone(tmp_path: Path) -> None:
    (tmp_path / "labs.yaml").write_text("guests: {}\nlabs: {one: {vif: x}}\n")
    with pytest.raises(ConfigError, match="unknown key 'vif'"):
        config.load(tmp_path / "labs.yaml")


def test_all_but_one_on_machines_of_any_size(tmp_path: Path) -> None:
    """With one CPU none is left, and the error is at the word."""
    (tmp_path / "k").write_bytes(zimage())
    text = 'guests: {g: {kernel: k, cpus: "all,^0"}}\nlabs: {one: {cpus: %d, guests: [g]}}\n'
    for count, wanted in ((2, (1,)), (8, (1, 2, 3, 4, 5, 6, 7))):
        (tmp_path / "labs.yaml").write_text(text % count)
        assert config.load(tmp_path / "labs.yaml").labs["one"].guests[0].cpus == wanted
    (tmp_path / "labs.yaml").write_text(text % 1)
    with pytest.raises(ConfigError, match=r"1:31: 'cpus' leaves guest 'g' no CPU"):
        config.load(tmp_path / "labs.yaml")


def test_cpus_are_taken_in_their_order() -> None:
    """As in xl: a CPU that was left out may be added again."""
    assert cpus.read("all,^0-6,2").numbers == (7, 2)
    assert cpus.read([]).numbers == ()
