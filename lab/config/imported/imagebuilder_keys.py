"""The keys of an ImageBuilder configuration that have no counterpart in labs.yaml, and why.

The keys are those of ImageBuilder's README and of scripts/uboot-script-gen.
"""

from __future__ import annotations

_BOOT = "it is for U-Boot, and the lab places the files itself"
_OUTPUT = "it names a file that ImageBuilder writes"
_COLOURS = "QEMU has no cache that could be coloured"
_DEVICES = "guests have no devices but their console: none is passed through"
_POOLS = "all CPUs are in one pool"
_SHARED = "shared_memory: of the lab does this, if guests see it at its address in the machine"
_LINUX = "it is for a board without Xen"
_DISK = "it is for a disk image, and the lab has no disks"

#: Key without its index → why it is left out.
NOT_HERE = {
    "DEVICE_TREE": "the lab hands Xen the tree of QEMU's own machine",
    "XEN": "a hypervisor is a package, or a source tree of yours: hypervisors: {…: {source: …}}",
    "XEN_STATIC_HEAP": "there is no word for a static heap of Xen",
    "XEN_POLICY": "this Xen has no security labels (FLASK)",
    "DOM0_KERNEL": "dom0 is the lab's own; dom0: {kernel: FILE, modules: FOLDER} boots your kernel",
    "DOM0_RAMDISK": "dom0's files are the lab's own",
    "DOM0_CMD": "dom0's command line is the lab's own",
    "DOMU_NR_SPIS": "there is no word for a guest's number of interrupts",
    "DOMU_GRANT_VER": "there is no word for the version of grant tables",
    "DOMU_DRIVER_DOMAIN": "dom0 alone drives devices",
    "PASSTHROUGH_DTS_REPO": _DEVICES,
    "LOPPER_PATH": _DEVICES,
    "LOPPER_CMD": _DEVICES,
    "NUM_CPUPOOLS": _POOLS,
    "CPUPOOL": _POOLS,
    "DOMU_CPUPOOL": _POOLS,
    **dict.fromkeys(("DOMU_PASSTHROUGH_DTB", "DOMU_PASSTHROUGH_PATHS",
                     "XEN_PASSTHROUGH_PATHS"), _DEVICES),
    **dict.fromkeys(("XEN_COLORS", "DOM0_COLORS", "DOMU_COLORS"), _COLOURS),
    **dict.fromkeys(("DOMU_SHARED_MEM", "DOMU_SHARED_MEM_ID"), _SHARED),
    **dict.fromkeys(("LINUX", "LINUX_CMD", "LINUX_RAMDISK"), _LINUX),
    **dict.fromkeys(("DOM0_ROOTFS", "DOMU_ROOTFS", "GPT"), _DISK),
    **dict.fromkeys(("UBOOT_SOURCE", "UBOOT_SCRIPT", "FDTEDIT"), _OUTPUT),
    **dict.fromkeys((
        "LOAD_CMD", "BOOT_CMD", "XEN_LOAD", "DOM0_LOAD", "DOMU_LOAD", "EFI", "BITSTREAM",
        "NUM_BOOT_AUX_FILE", "BOOT_AUX_FILE", "NUM_DT_OVERLAY", "DT_OVERLAY", "APPEND_EXTRA_CMDS",
        "FIT", "FIT_ENC_KEY_DIR", "FIT_ENC_UB_DTB",
    ), _BOOT),
}  # fmt: skip

#: Keys that become words of labs.yaml, or that decide how others do.
OF_BOARD = frozenset({"MEMORY_START", "MEMORY_END", "XEN_CMD", "DOM0_MEM", "DOM0_VCPUS",
                      "NUM_DOMUS"})  # fmt: skip
OF_GUEST = frozenset({
    "DOMU_KERNEL", "DOMU_RAMDISK", "DOMU_CMD", "DOMU_MEM", "DOMU_VCPUS", "DOMU_STATIC_MEM",
    "DOMU_DIRECT_MAP", "DOMU_VPL011", "DOMU_ENHANCED", "DOMU_NOBOOT",
})  # fmt: skip

#: Words of Xen's command line that the lab sets itself.
XEN_OWN = frozenset({"console", "dtuart", "bootscrub", "console_timestamps", "dom0"})
#: Words that are about colours, with ImageBuilder's and with Xen's own names.
XEN_COLOURS = frozenset({"xen_colors", "dom0_colors", "way_size", "llc-coloring", "xen-llc-colors",
                         "dom0-llc-colors", "llc-size", "llc-nr-ways"})  # fmt: skip
