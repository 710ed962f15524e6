"""Messages about a guest that cannot be built."""

from __future__ import annotations

from lab.images.freertos import advice


def test_who_uses_printf_is_told_of_printk() -> None:
    """The linker names functions that the author of a guest has never heard of."""
    said = "libc_a-sbrkr.o: in function `_sbrk_r':\nundefined reference to `_sbrk'"
    assert "printk" in advice(said)
    assert "printk" in advice("printf.c:41: undefined reference to `stdout'")
    assert advice("undefined reference to `foo'\nundefined reference to `_mine'") == ""
