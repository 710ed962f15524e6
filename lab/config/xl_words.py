"""The words of xl's configuration files (xl.cfg(5) of Xen 4.17) in the ``guests:`` of labs.yaml.

Users who have such a file write its keys here. Keys that ask for what a guest has anyway, and keys
that labs.yaml has under another name, are accepted. For all others the error says what to write
instead. The nearest key of labs.yaml would be a wrong guess.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.config import units
from lab.config.yaml_source import Loc, Source
from lab.util.terminal import quote

#: Keys for what a guest has anyway, with the values that ask for nothing else.
_ANYWAY = {
    "type": (("pvh",), "every guest on ARM is a PVH guest"),
    "gic_version": (("default", "v2"), "the machine has a GICv2, so every guest has one"),
    "passthrough": (("disabled", "default"), "the machine has no IOMMU"),
    "tee": (("none",), "the machine has no trusted execution environment"),
    "pool": (("Pool-0",), "all CPUs are in one pool"),
}
_NO_DEVICES = "guests have no devices but their consoles, 'disk' and 'vif'"
_SHARE = "write scheduler: {{{key}: …}}"
_NONE_HERE = "it does nothing on this machine; leave it out"

#: What to use instead of a key that labs.yaml does not have.
_INSTEAD = {
    "serial": "the console is Xen's: console=hvc0 in Linux's 'cmdline'; 'vuart' is another",
    "bootloader": "no boot loader reads a guest's disk: give its 'kernel' and 'ramdisk'",
    "bootloader_args": "no boot loader reads a guest's disk: give its 'kernel' and 'ramdisk'",
    "builder": "ARM has only one kind of guest; leave it out",
    "device_tree": "a guest gets exactly the device tree that xl makes; leave it out",
    "uuid": "xl chooses one; leave it out",
    "cpus_soft": "only hard affinity is supported; use 'cpus'",
    "nodes": "the machine has only one NUMA node; leave it out",
    "cpupool": "all CPUs are in one pool; leave it out",
    "seclabel": "this Xen has no security labels (FLASK); leave it out",
    "init_seclabel": "this Xen has no security labels (FLASK); leave it out",
    "cpu_weight": _SHARE.format(key="weight"),
    **{key: _SHARE.format(key=key) for key in ("weight", "cap", "period", "budget", "extratime")},
    "sched": "write scheduler: NAME",
    "slice": "only rtds is real-time; write scheduler: {name: rtds, period: …, budget: …}",
    "latency": "only rtds is real-time; write scheduler: {name: rtds, period: …, budget: …}",
    "dtdev": f"{_NO_DEVICES}: none is passed through",
    **dict.fromkeys(
        ("iomem", "irqs", "ioports", "pci", "usbdev", "usbctrl", "usb", "usbdevice"),
        f"{_NO_DEVICES}: none is passed through",
    ),
    **dict.fromkeys(
        ("vfb", "vkb", "vsnd", "vdispl", "vtpm", "p9", "pvcalls", "channel", "virtio"),
        _NO_DEVICES,
    ),
    "on_soft_reset": "leave it out",
    **dict.fromkeys(
        ("ip", "netmask", "gateway", "hostname", "dhcp"),
        "xl ignores it, and a guest sets its own address and name; leave it out",
    ),
    "driver_domain": "only dom0 drives devices; leave it out",
    "nomigrate": "guests cannot migrate here; leave it out",
    "claim_mode": "it is an option of xl.conf; leave it out",
}
#: All other keys of xl: for x86, for devices, or useless on a single machine.
_OTHERS = """
    acpi acpi_firmware acpi_laptop_slate acpi_s3 acpi_s4 altp2m altp2mhvm apic autoballoon bios
    bios_path_override blkdev_start boot cpuid device_model_args device_model_args_hvm
    device_model_args_pv device_model_override device_model_user device_model_version dm_restrict
    e820_host event_channels firmware firmware_override gfx_passthru hap hdtype hpet hvm keymap
    lmce localtime max_event_channels max_grant_frames max_grant_version max_maptrack_frames
    mca_caps mmio_hole ms_vm_genid msr_relaxed nestedhvm nographic numa_placement nx oos pae
    pci_msitranslate pci_permissive pci_power_mgmt pci_seize pvh pvshim pvshim_cmdline pvshim_extra
    pvshim_path rdm rdm_mem_boundary rtc_timeoffset sdl shadow_memory smbios_firmware soundhw spice
    spicehost spiceport stdvga stubdomain_cmdline stubdomain_kernel stubdomain_memory
    stubdomain_ramdisk sve timer_mode tsc_mode tslice_ms usbversion vendor_device vga
    video_memory videoram viridian vmtrace_buf_kb vnc vncdisplay vnclisten vncpasswd vncunused vnuma
    vpmu vpt_align xauthority xen_platform_pci xend_suspend_evtchn_compat
"""


def instead(word: str) -> str:
    """What to write instead of a key of xl; empty if it is not a key of xl, or is accepted."""
    if word in _INSTEAD:
        return f"{quote(word)} is a key of xl.cfg only: {_INSTEAD[word]}"
    return f"{quote(word)} is a key of xl.cfg only: {_NONE_HERE}" if word in _OTHERS.split() else ""


def understand(source: Source) -> None:
    """Replace the accepted keys of xl in ``guests:`` by those of labs.yaml."""
    guests = source.data.get("guests")
    for name, guest in guests.items() if isinstance(guests, dict) else ():
        if isinstance(guest, dict):
            at = ("guests", name)
            _command_line(source, at, guest)
            for word, read in READ.items():
                if word in guest:
                    read(source, (*at, word), guest.pop(word), guest)


def _command_line(source: Source, at: Loc, guest: dict[str, Any]) -> None:
    """xl makes the command line from ``root`` and ``extra``, and ignores both if there is
    ``cmdline``."""
    given = [word for word in ("root", "extra") if word in guest]
    found = {word: guest.pop(word) for word in given}
    for word in given:
        if not isinstance(found[word], str):
            source.add((*at, word), f"{quote(word)}: must be text")
            return
        if "cmdline" in guest:
            text = f"xl ignores {quote(word)} if there is 'cmdline'; write it all into 'cmdline'"
            source.add((*at, word), text, key=True)
    if given and "cmdline" not in guest:
        words = [f"root={found['root']}"] if found.get("root") else []
        guest["cmdline"] = " ".join([*words, found.get("extra", "")]).strip()
        source.copy_mark((*at, given[0]), (*at, "cmdline"))


def _name(source: Source, at: Loc, value: Any, guest: dict[str, Any]) -> None:
    del guest
    if value != at[1]:
        text = f"'name': the guest's name is its key, {quote(str(at[1]))}; leave 'name' out"
        source.add(at, text)


def _maxmem(source: Source, at: Loc, value: Any, guest: dict[str, Any]) -> None:
    """Without ``memory``, ``maxmem`` is the memory (libxl__domain_build_info_setdefault)."""
    try:
        size = units.size(value)
    except (TypeError, ValueError) as error:
        source.add(at, f"'maxmem': {error}")
        return
    if "memory" not in guest:
        guest["memory"] = value
        source.copy_mark(at, (*at[:-1], "memory"))
    elif size != _size(guest["memory"]):
        text = "'maxmem': must be the same as 'memory', which cannot grow on ARM; leave it out"
        source.add(at, text)


def _maxvcpus(source: Source, at: Loc, value: Any, guest: dict[str, Any]) -> None:
    if value != guest.get("vcpus", "1"):
        text = "'maxvcpus': a guest always has all of its vCPUs; write only 'vcpus'"
        source.add(at, text)


def _size(value: Any) -> Any:
    try:
        return units.size(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _anyway(source: Source, at: Loc, value: Any, guest: dict[str, Any]) -> None:
    del guest
    word = str(at[-1])
    values, why = _ANYWAY[word]
    if value not in values:
        source.add(at, f"{quote(word)}: {why}; leave it out")


READ: dict[str, Callable[[Source, Loc, Any, dict[str, Any]], None]] = {
    "name": _name,
    "maxmem": _maxmem,
    "maxvcpus": _maxvcpus,
    **dict.fromkeys(_ANYWAY, _anyway),
}
