"""Extract what a line of a notebook installs with pip, as arguments for pip in a pod."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

PASSED = frozenset(
    "--index-url --extra-index-url --trusted-host --find-links --pre --prefer-binary --only-binary"
    " --no-binary --no-build-isolation --use-pep517 --requirement".split()
)
"""Options of `pip install` that are passed to pip in a pod."""

IGNORED = frozenset(
    "--quiet --verbose --upgrade --upgrade-strategy --user --no-cache-dir --no-cache --cache-dir"
    " --progress-bar --no-input --disable-pip-version-check --no-warn-script-location --no-warn-conflicts"
    " --root-user-action --yes --break-system-packages --force-reinstall --ignore-installed --no-color"
    " --timeout --retries --editable --system --log --python --no-compile --no-clean --require-virtualenv"
    " --torch-backend --index-strategy".split()
)
"""Options that do not matter in a pod; the files of editable installs are copied to it."""

SHORT = {
    "-i": "--index-url", "-f": "--find-links", "-r": "--requirement", "-e": "--editable", "-q": "--quiet",
    "-v": "--verbose", "-U": "--upgrade", "-I": "--ignore-installed", "-y": "--yes", "-p": "--python",
    "-c": "--constraint", "-t": "--target", "-n": "--no-cache",
}  # fmt: skip

SAME = {"--index": "--extra-index-url", "--default-index": "--index-url", "--requirements": "--requirement"}
"""Options of uv, and their names in pip."""

VALUED = frozenset(
    "--index-url --extra-index-url --trusted-host --find-links --only-binary --no-binary --requirement"
    " --editable --upgrade-strategy --cache-dir --progress-bar --root-user-action --timeout --retries"
    " --constraint --target --log --python --prefix --root --platform --src --proxy --cert --torch-backend"
    " --index-strategy".split()
)
"""Options with a value: after an equals sign, else the next word."""


class PodUnsupportedError(Exception):
    """An argument of pip that is not supported in a pod; the message names it."""


def installed(command: str) -> list[str] | None:
    """Return the requirements that a command installs with pip, and options for pip: one word each.

    Args:
        command: A line of a shell.

    Returns:
        Requirements as pip accepts them, and options as in "--index-url=https://..."; "--requirement=FILE"
        includes a file. None if the command installs nothing.

    Raises:
        PodUnsupportedError: It has an option, or a variable, that works only on this machine.
    """
    words = _words(command)
    if words is None:
        return None
    if words[:1] and words[0].startswith("python") and words[1:2] == ["-m"]:
        words = words[2:]
    words = words[1:] if words[:1] == ["uv"] else words
    if not words or re.fullmatch(r"pip[\d.]*", words[0]) is None or "install" not in words:
        return None
    place = words.index("install")
    if not all(word.startswith("-") for word in words[1:place]):
        return None
    return list(_kept([*words[1:place], *words[place + 1 :]]))


def _words(command: str) -> list[str] | None:
    """Return the words of one command, without redirections; None if it is more than one command."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";<>|&")
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        tokens = iter(list(lexer))
    except ValueError:  # quotes that only the shell understands
        return None
    for token in tokens:
        if token[0] in "<>":
            if words and words[-1].isdecimal():  # of 2> and 2>&1
                words.pop()
            next(tokens, None)
        elif set(token) <= set(";|&"):
            return None
        else:
            words.append(token)
    return words


def _kept(words: list[str]) -> Iterator[str]:
    rest = iter(_long(words))
    for word in rest:
        if "$" in word or ("{" in word and "}" in word):
            raise PodUnsupportedError(f"the variable in {word}")
        if not word.startswith("-"):
            if not is_of_this_machine(word):
                yield word
            continue
        option, equals, value = word.partition("=")
        option = SAME.get(option, option)
        if option in VALUED and not equals:
            value = next(rest, "")
        if option in PASSED and not (option == "--find-links" and "://" not in value):
            yield f"{option}={value}" if option in VALUED else option
        elif option not in IGNORED:
            raise PodUnsupportedError(f"pip's option {option}")


def _long(words: list[str]) -> Iterator[str]:
    """Yield the words with long options: -qU is --quiet --upgrade, -rFILE is --requirement FILE."""
    for word in words:
        if not word.startswith("-") or word.startswith("--"):
            yield word
            continue
        letters = word[1:]
        while letters:
            option = SHORT.get(f"-{letters[0]}", f"-{letters[0]}")
            yield option
            letters = letters[1:]
            if option in VALUED and letters:
                yield letters
                letters = ""


def is_of_this_machine(word: str) -> bool:
    """Whether a requirement is a local file or folder, which a pod does not have."""
    if word.startswith((".", "/", "~", "file:")):
        return True
    return word.endswith((".whl", ".tar.gz", ".zip")) and "://" not in word
