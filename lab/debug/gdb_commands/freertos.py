"""Reads what a FreeRTOS kernel has, V9 to V11, with the names and types of the guest's ELF file.

``pxCurrentTCB`` is an array (``pxCurrentTCBs``) in V11 with several cores. ``pvContainer`` of V9
is ``pxContainer`` since V10. A TCB has one notification in V9 and an array since V10.4.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gdb

from lab.debug.gdb_commands import frames, objects

#: Bytes of a stack that was never used (tskSTACK_FILL_BYTE), and the most that are looked at.
FILL, LARGEST = 0xA5, 1 << 20
#: The most items of a list: a damaged one must not be walked for ever.
MOST = 1000
#: ucNotifyState of a task that waits (taskWAITING_NOTIFICATION).
WAITING = 1
#: ucQueueType (queue.h).
KINDS = {0: "queue", 1: "mutex", 2: "semaphore", 3: "semaphore", 4: "mutex", 5: "queue set"}


@dataclass
class TaskSeen:
    """A task. ``left``: bytes of its stack that it never used. ``used``: bytes in use now."""

    address: int
    name: str
    priority: int
    state: str
    waits: str
    top: int
    used: int | None
    left: int
    registers: dict[str, int] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        return self.state == "running"


def symbol(name: str) -> Any:
    """A variable of the kernel's; ``None`` if this kernel has none of that name."""
    for look in (gdb.lookup_static_symbol, gdb.lookup_global_symbol):
        found = look(name)
        if found is not None:
            with contextlib.suppress(gdb.error):
                return found.value()
    return None


def present() -> bool:
    """Whether the loaded symbols are those of a FreeRTOS guest."""
    return symbol("pxReadyTasksLists") is not None


def ticks() -> int | None:
    """The tick count; ``None`` without FreeRTOS."""
    value = symbol("xTickCount")
    with contextlib.suppress(gdb.error):
        return None if value is None else int(value)
    return None


def current() -> int:
    """The address of the running task's TCB; 0 before the scheduler starts."""
    value = symbol("pxCurrentTCB")
    if value is None:
        several = symbol("pxCurrentTCBs")
        value = None if several is None else several[0]
    return 0 if value is None else int(value)


def owners(found: Any) -> Iterator[Any]:
    """The items of a ``List_t``."""
    item, count = found["xListEnd"]["pxNext"], int(found["uxNumberOfItems"])
    for _ in range(min(count, MOST)):
        yield item
        item = item["pxNext"]


def tasks() -> list[TaskSeen]:
    """All tasks of the guest, the running one first, then by priority."""
    if not present():
        raise gdb.GdbError("no FreeRTOS here: choose a guest with its ELF file, as in: lab on NAME")
    running, found = current(), {}
    for state, one in _lists():
        for item in owners(one):
            tcb = item["pvOwner"].cast(gdb.lookup_type("TCB_t").pointer())
            if int(tcb):
                found[int(tcb)] = _task(tcb, state, int(tcb) == running)
    return sorted(found.values(), key=lambda one: (not one.runs, -one.priority, one.name))


def _lists() -> Iterator[tuple[str, Any]]:
    ready = symbol("pxReadyTasksLists")
    first, last = ready.type.range()
    for number in range(first, last + 1):
        yield "ready", ready[number]
    for name, state in (("xPendingReadyList", "ready"), ("xSuspendedTaskList", "suspended"),
                        ("xTasksWaitingTermination", "deleted")):  # fmt: skip
        value = symbol(name)
        if value is not None:
            yield state, value
    for name in ("pxDelayedTaskList", "pxOverflowDelayedTaskList"):
        value = symbol(name)
        if value is not None and int(value):
            yield "delayed", value.dereference()


def _task(tcb: Any, state: str, running: bool) -> TaskSeen:
    value = tcb.dereference()
    top, bottom = int(value["pxTopOfStack"]), int(value["pxStack"])
    waits = "" if running else _waits(value, state)
    if running:
        state = "running"
    elif waits and state in ("suspended", "delayed"):
        state = "blocked"
    size = _stack_size(bottom)
    used = None if size is None or running else bottom + size - top
    name = value["pcTaskName"].string("latin-1", "replace")
    priority, left = int(value["uxPriority"]), _never_used(bottom)
    task = TaskSeen(int(tcb), name, priority, state, waits, top, used, left)
    if not running and state != "deleted":
        frame = frames.of_session()
        with contextlib.suppress(gdb.error):
            task.registers = frame.registers(top) if frame else {}
    return task


def _waits(tcb: Any, state: str) -> str:
    """What a task waits for, in words."""
    words = []
    container = _container(tcb["xEventListItem"])
    if container:
        if _in_group(tcb):
            words.append(f"event group at {_symbol_or(container)}")
        else:
            words.append(_queue_of(container))
    elif _waits_for_notification(tcb):
        words.append("a notification")
    if state == "delayed":
        words.append(f"until tick {int(tcb['xStateListItem']['xItemValue'])}")
    return ", ".join(words)


def _in_group(tcb: Any) -> bool:
    """Whether a task waits for an event group: the highest bit of its item's value is set
    (taskEVENT_LIST_ITEM_VALUE_IN_USE)."""
    value = tcb["xEventListItem"]["xItemValue"]
    return bool(int(value) >> 8 * value.type.sizeof - 1)


def _largest(a_list: Any) -> int:
    """The largest tick count, which ends each list (portMAX_DELAY)."""
    bits = 8 * int(a_list["xListEnd"]["xItemValue"].type.sizeof)
    return (1 << bits) - 1


def _container(item: Any) -> int:
    names = [one.name for one in item.type.strip_typedefs().fields()]
    return int(item["pxContainer" if "pxContainer" in names else "pvContainer"])


def _waits_for_notification(tcb: Any) -> bool:
    names = [one.name for one in tcb.type.strip_typedefs().fields()]
    if "ucNotifyState" not in names:
        return False
    state = tcb["ucNotifyState"]
    if state.type.strip_typedefs().code == gdb.TYPE_CODE_ARRAY:
        first, last = state.type.range()
        return any(int(state[number]) == WAITING for number in range(first, last + 1))
    return int(state) == WAITING


def _queue_of(container: int) -> str:
    """The queue one of whose two lists of waiting tasks is at this address."""
    kind = gdb.lookup_type("struct QueueDefinition")
    names = registry()
    for name, words in (("xTasksWaitingToReceive", "from"), ("xTasksWaitingToSend", "to")):
        offset = next(one for one in kind.fields() if one.name == name).bitpos // 8
        address = container - offset
        queue = gdb.Value(address).cast(kind.pointer()).dereference()
        with contextlib.suppress(gdb.error):
            if address in names or _is_queue(queue):
                return f"{words} {describe(queue, address, names)}"
    return f"something at {_symbol_or(container)}"


def _is_queue(queue: Any) -> bool:
    """Whether memory looks like a queue: its lists are lists of tasks, its numbers make sense."""
    lists = (queue["xTasksWaitingToSend"], queue["xTasksWaitingToReceive"])
    length, messages = int(queue["uxLength"]), int(queue["uxMessagesWaiting"])
    sound = all(int(one["xListEnd"]["xItemValue"]) == _largest(one) for one in lists)
    return sound and messages <= length and length > 0


def describe(queue: Any, address: int, names: dict[int, str]) -> str:
    """``mutex "lock"``, or ``queue at 0x40021000``."""
    fields = [one.name for one in queue.type.strip_typedefs().fields()]
    kind = KINDS.get(int(queue["ucQueueType"]), "queue") if "ucQueueType" in fields else "queue"
    return f'{kind} "{names[address]}"' if address in names else f"{kind} {_symbol_or(address)}"


def _symbol_or(address: int) -> str:
    with contextlib.suppress(gdb.error):
        said = gdb.execute(f"info symbol {address:#x}", to_string=True) or ""
        name = said.split(" in section")[0]
        if name != said and "ucHeap" not in name:
            return f"{name.split(' + ')[0]} ({address:#x})"
    return f"{address:#x}"


def registry() -> dict[int, str]:
    """The queues that have a name (vQueueAddToRegistry), by address."""
    value, found = symbol("xQueueRegistry"), {}
    if value is not None:
        first, last = value.type.range()
        for number in range(first, last + 1):
            one = value[number]
            if int(one["pcQueueName"]) and int(one["xHandle"]):
                found[int(one["xHandle"])] = one["pcQueueName"].string("latin-1", "replace")
    return found


def queues() -> dict[int, Any]:
    """The queues that have a name, or that a task waits for, by address."""
    kind = gdb.lookup_type("struct QueueDefinition")
    known = set(registry())
    for state, one in _lists():
        for item in owners(one) if state != "deleted" else ():
            tcb = item["pvOwner"].cast(gdb.lookup_type("TCB_t").pointer())
            container = _container(tcb["xEventListItem"])
            if container and not _in_group(tcb):
                known |= {container - offset for offset in _offsets(kind)}
    found = {}
    for address in sorted(known):
        queue = gdb.Value(address).cast(kind.pointer()).dereference()
        with contextlib.suppress(gdb.error):
            if _is_queue(queue):
                found[address] = queue
    return found


def _offsets(kind: Any) -> list[int]:
    wanted = ("xTasksWaitingToReceive", "xTasksWaitingToSend")
    return [one.bitpos // 8 for one in kind.fields() if one.name in wanted]


def _stack_size(bottom: int) -> int | None:
    """The size in bytes of the stack that begins at this address; ``None`` if nobody knows.

    A stack of the heap has the size of its block, which stands before it (heap_4.c). Any other is
    a variable.
    """
    heap = symbol("ucHeap")
    word = gdb.lookup_type("size_t")
    if heap is not None and 0 <= bottom - int(heap.address) < heap.type.sizeof:
        header = gdb.lookup_type("BlockLink_t").sizeof
        at = gdb.Value(bottom - word.sizeof).cast(word.pointer())
        size = int(at.dereference()) & ~(1 << 8 * word.sizeof - 1)
        return size - header if header < size <= heap.type.sizeof else None
    return objects.size_of(bottom)


def _never_used(bottom: int) -> int:
    """Bytes from the stack's low end that still have their first value."""
    inferior, count = gdb.selected_inferior(), 0
    while count < LARGEST:
        with contextlib.suppress(gdb.error):
            part = bytes(inferior.read_memory(bottom + count, 256))
            left = len(part) - len(part.lstrip(bytes((FILL,))))
            count += left
            if left == len(part):
                continue
        break
    return count


def timers() -> Iterator[tuple[Any, int]]:
    """The software timers that run: each, and the tick at which it goes off."""
    for name in ("pxCurrentTimerList", "pxOverflowTimerList"):
        value = symbol(name)
        if value is None or not int(value):
            continue
        for item in owners(value.dereference()):
            owner = item["pvOwner"].cast(gdb.lookup_type("Timer_t").pointer())
            yield owner.dereference(), int(item["xItemValue"])
