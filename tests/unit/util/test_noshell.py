"""No shell reads a command of labs.yaml. A command that needs one is refused, with what to
write."""

from __future__ import annotations

import shlex
import subprocess

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab.util import noshell

PLAIN = [
    "make", "make -C 'a b'", "make X='$(Y)' V=1", r"echo a\ b \> c", "sh -c 'make && make all'",
    'echo "a && b; c > d"', "make all\n", "a~b c#d e%f", "",
]  # fmt: skip
#: What shlex alone reads in another way than a shell.
ESCAPED = {r'say "a\"b" "\$x"': ["say", 'a"b', "$x"], r'a "\`" "b\c"': ["a", "`", r"b\c"]}
REFUSED = {
    "a && b": "&&", "a || b": "||", "a | b": "|", "a > b": ">", "a 2>&1": "2>&1", "a >>b": ">>",
    "a <b": "<", "a; b": ";", "a &": "&", "a $(b)": "$(", 'a "$(b)"': "$(", "a `b`": "`",
    "a $HOME": "$HOME", "a ${HOME}": "${", "cc *.c": "*", "a b?": "?", "a [ab]c": "[ab]",
    "A=1 make": "A=1", "cd x": "cd", ". ./env": ".", "export A=1": "export", "a # b": "# b",
    "~/bin/x": "~", "(a)": "(", "make\nmake all": "a second line",
}  # fmt: skip


@pytest.mark.parametrize("text", ESCAPED)
def test_escapes_inside_quotation_marks(text: str) -> None:
    assert noshell.split(text) == ESCAPED[text]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_words(text: str) -> None:
    assert noshell.split(text) == shlex.split(text)


@pytest.mark.parametrize(("text", "word"), REFUSED.items())
def test_what_needs_a_shell(text: str, word: str) -> None:
    with pytest.raises(ValueError, match="none runs this command; write ") as caught:
        noshell.split(text)
    assert str(caught.value).split(" needs a shell")[0].strip("'") == word


@pytest.mark.parametrize("text", [*REFUSED, "printf '%s|' \"a\" && printf '\\t'"])
def test_what_is_to_be_written_instead(text: str) -> None:
    """It is YAML, and gives the shell exactly that line."""
    value = yaml.safe_load(f"build: {noshell.instead(text)}")["build"]
    argv = noshell.split(value) if isinstance(value, str) else value
    assert argv == ["sh", "-c", text]


def test_operators_in_a_list() -> None:
    noshell.check(["sh", "-c", "a && b", "*"])
    with pytest.raises(ValueError, match=r"'&&' needs a shell.*\"sh -c 'make && make all'\""):
        noshell.check(["make", "&&", "make", "all"])


_letters = st.text(alphabet="ab '\"\\$&|;<>*?[]#~=(){}`!\n", max_size=12)


@given(_letters)
def test_what_is_accepted_is_the_same_to_a_shell(tmp_path_factory: pytest.TempPathFactory,
                                                 text: str) -> None:  # fmt: skip
    """A real shell splits it into the same words."""
    try:
        argv = noshell.split(f"echo {text}")
    except ValueError:
        return
    folder = tmp_path_factory.mktemp("sh")
    line = f"exec printf '%s\\0' {text.strip()}"
    done = subprocess.run(["/bin/sh", "-c", line], cwd=folder, capture_output=True, check=False)
    said = done.stdout.split(b"\0")[:-1]
    assert [word.encode() for word in argv[1:]] == (said if argv[1:] else []), text
