"""What an xl configuration says of a guest: disks, network, UART, CPUs, command line, its ends.

Two Linux guests and one that crashes, in one lab: what the keys of labs.yaml promise is seen in
the guests themselves.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from lab import api
from system.world import ROOT, World

LABS = f"""\
guests:
  one:
    linux: {ROOT}/images/linux/hello
    root: /dev/ram0
    extra: quiet
    memory: 96M
    maxmem: 96M
    gic_version: v2
    vuart: sbsa_uart
    disk: [blank.img, "format=raw, vdev=xvdb, access=ro, target=words.txt"]
    vif: ["mac=00:16:3e:01:02:03, bridge=xenbr0"]
    on_reboot: restart
  two:
    linux: {ROOT}/images/linux/hello
    vif: bridge=xenbr0
    on_poweroff: destroy
  three:
    linux: {ROOT}/images/linux/hello
    disk: words.txt
    vif: [""]
    cpus: "all,^0"
  listens:
    linux: {ROOT}/images/linux/hello
    vuart: sbsa_uart
  crash:
    freertos: {ROOT}/images/freertos/apps/crash
    extra: data
    on_crash: destroy
    may_crash: true
  bitten:
    freertos: bitten
    on_watchdog: restart
  again:
    freertos: {ROOT}/images/freertos/apps/crash
    extra: data
    on_crash: restart
    may_crash: true
labs:
  ends:
    guests: [bitten, again]
    steps:
      - {{wait: "bitten: waits", on: bitten}}
      - {{wait: "bitten: waits", on: bitten, within: 20s}}
      - {{wait: "crash: data", on: again}}
      - {{wait: "crash: data", on: again, within: 20s}}
  keys:
    guests: [one, two]
    steps:
      - parallel:
          - {{wait: "hello from Linux", on: one, within: 60s}}
          - {{wait: "hello from Linux", on: two, within: 60s}}
      - {{type: "cat /proc/cmdline; ip a add 10.0.0.2/24 dev eth0; ip link set eth0 up", on: one}}
      - {{wait: "root=/dev/ram0 quiet", on: one}}
      - {{type: "ip a add 10.0.0.3/24 dev eth0; ip link set eth0 up", on: two}}
      - {{type: "ping -c 1 10.0.0.1 && ping -c 1 10.0.0.2 && echo bo''th", on: two}}
      - {{regex: "^both", on: two}}
      - {{type: "cat /sys/class/net/eth0/address /dev/ttyAMA0 &", on: one}}
      - {{wait: "00:16:3e:01:02:03", on: one}}
      - {{type: "head -n 1 /dev/xvdb >/dev/ttyAMA0; echo no >/dev/xvdb", on: one}}
      - {{wait: "words of the user", on: one-vuart0}}
      - {{wait: "not permitted", on: one}}
      - {{type: "typed on the UART", on: one-vuart0}}
      - {{wait: "typed on the UART", on: one}}
      - {{type: "mke2fs /dev/xvda >/dev/null; mount /dev/xvda /tmp; echo kept >/tmp/it", on: one}}
      - {{type: "umount /tmp; reboot -f", on: one}}
      - {{type: "poweroff -f", on: two}}
      - {{wait: "hello from Linux", on: one, within: 60s}}
      - {{type: "mount /dev/xvda /tmp; cat /tmp/it", on: one}}
      - {{regex: "^kept", on: one}}
      - {{inject: crash}}
      - {{exec: "sh -c 'while xl domid two || xl domid crash; do sleep 0.1; done'", within: 20s}}
  uart: {{guests: [listens]}}
  bare: {{cpus: 2, guests: [crash]}}
"""
#: A guest that sets Xen's watchdog to a second, and never sets it anew.
BITTEN = """\
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"
#include "xen.h"

static void wait(void *unused)
{
    struct sched_watchdog dog = { .id = 0, .timeout = 1 };

    (void)unused;
    printk("bitten: waits, %ld\\n", xen_sched_op(SCHEDOP_watchdog, &dog));
    vTaskSuspend(NULL);
}

int main(void)
{
    xTaskCreate(wait, "wait", configMINIMAL_STACK_SIZE, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}
"""
#: Until the drivers in dom0 and in a guest have found each other (enum xenbus_state, io/xenbus.h).
CONNECTED = """\
id=$(xl domid three) || exit
for device in vbd/51712 vif/0; do
    until [ "$(xenstore-read "/local/domain/$id/device/$device/state")" = 4 ]; do sleep 0.2; done
done
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """labs.yaml, and what its disks are made of."""
    found = tmp_path_factory.mktemp("keys")
    (found / "labs.yaml").write_text(LABS)
    (found / "bitten").mkdir()
    (found / "bitten/main.c").write_text(BITTEN)
    (found / "words.txt").write_text("words of the user\n")
    with (found / "blank.img").open("wb") as file:
        file.truncate(1 << 20)
    return found


def test_the_words_of_xl(world: World, folder: Path) -> None:
    """All of them in one lab, twice: the guests see what was asked for, dom0 does what it must at
    their ends, both runs are equal to the last byte, and no file of the user's changes."""
    both = json.loads(world.run("lab.run", "keys", "--repeat", "2", "--json", cwd=folder).out)
    said = both["runs"][-1]
    assert (both["same"], said["verdict"]) == (True, "pass")
    log = Path(said["run"], "console/dom0.log").read_text()
    assert [word for word in ("rebooted", "powered off", "crashed") if f" {word} " not in log] == []
    assert (folder / "blank.img").read_bytes() == bytes(1 << 20)
    assert (folder / "words.txt").read_text() == "words of the user\n"
    manifest = json.loads(Path(said["run"], "manifest.json").read_text())
    assert manifest["guests"]["one"].keys() >= {"disk xvda", "disk xvdb", "backends"}


def test_what_crashes_and_what_its_watchdog_ends_is_created_again(
    world: World, folder: Path
) -> None:
    """`on_crash` and `on_watchdog: restart`, twice with one digest; dom0's log has each end."""
    both = json.loads(world.run("lab.run", "ends", "--repeat", "2", "--json", cwd=folder).out)
    said = both["runs"][-1]
    assert (both["same"], said["verdict"]) == (True, "pass")
    log = Path(said["run"], "console/dom0.log").read_text()
    assert re.search(r"bitten was ended by its watchdog", log)
    assert re.search(r"again crashed", log)


def test_a_disk_for_a_lab_that_runs(world: World, folder: Path) -> None:
    """`lab.inject` on the host's clock: dom0, which had no guest with a disk, serves one now. It
    runs on the CPU that it asked for."""
    world.run("lab.up", "bare", cwd=folder)
    try:
        world.run("lab.inject", "bare", "three", cwd=folder)
        world.run("lab.exec", "bare", shlex.join(["sh", "-c", CONNECTED]), cwd=folder)
        ports = world.run("lab.exec", "bare", "ls /sys/class/net/xenbr0/brif", cwd=folder).out
        assert "vif" in ports
        vcpus = world.run("lab.exec", "bare", "xl vcpu-list three", cwd=folder).out
        assert re.search(r"^three +\d+ +0 +1 .* 1 / all", vcpus, re.MULTILINE)
    finally:
        world.run("lab.down", "bare", cwd=folder)


def test_what_is_typed_on_a_uart(world: World, folder: Path) -> None:
    """From outside, as `lab.console` types it: it reaches whoever reads it in the guest."""
    del world
    with api.lab("uart", api.Context(folder / "labs.yaml")) as lab:
        shell, uart = lab.guest("listens"), lab.guest("listens-vuart0")
        shell.expect("/ #", 60)
        shell.send("exec 3</dev/ttyAMA0; echo op''en; cat <&3\r")
        shell.expect(re.compile("^open"), 30)
        uart.send("a line for the UART\r")
        shell.expect(re.compile("^a line for the UART"), 30)


def test_the_example_of_a_network(world: World, tmp_path: Path) -> None:
    """examples/network: what the client fetched over TCP is what the server served."""
    shutil.copytree(ROOT / "examples/network", tmp_path / "net", ignore=lambda *_: ["runs"])
    said = json.loads(world.run("lab.run", "network", "--json", cwd=tmp_path / "net").out)
    assert said["verdict"] == "pass"
    logs = [Path(said["run"], f"console/{name}.log").read_text() for name in ("server", "client")]
    sums = [re.findall(r"^([0-9a-f]{64})  -", log, re.MULTILINE) for log in logs]
    assert sums[0] == sums[1]
    assert len(sums[0]) == 1
