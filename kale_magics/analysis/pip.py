"""What a line of a notebook installs with pip, as it can be said to pip in a pod."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

PASSED = frozenset(
    "--index-url --extra-index-url --trusted-host --find-links --pre --prefer-binary --only-binary"
    " --no-binary --no-build-isolation --use-pep517 --requirement".split()
)
"""Options of `pip install` that hold in a pod as well."""

IGNORED = frozenset(
    "--quiet --verbose --upgrade --upgrade-strategy --user --no-cache-dir --no-cache --cache-dir"
    " --progress-bar --no-input --disable-pip-version-check --no-warn-script-location --no-warn-conflicts"
    " --root-user-action --yes --break-system-packages --force-reinstall --ignore-installed --no-color"
    " --timeout --retries --editable --system --log --python --no-compile --no-clean --require-virtualenv"
    " --torch-backend --index-strategy".split()
)
"""Options that change nothing about what a pod has; files of what is installed to be edited travel."""

SHORT = {
    "-i": "--index-url", "-f": "--find-links", "-r": "--requirement", "-e": "--editable", "-q": "--quiet",
    "-v": "--verbose", "-U": "--upgrade", "-I": "--ignore-installed", "-y": "--yes", "-p": "--python",
    "-c": "--constraint", "-t": "--target", "-n": "--no-cache",
}  # fmt: skip

SAME = {"--index": "--extra-index-url", "--default-index": "--index-url", "--requirements": "--requirement"}
"""Options of uv, and what pip calls them."""

VALUED = frozenset(
    "--index-url --extra-index-url --trusted-host --find-links --only-binary --no-binary --requirement"
    " --editable --upgrade-strategy --cache-dir --progress-bar --root-user-action --timeout --retries"
    " --constraint --target --log --python --prefix --root --platform --src --proxy --cert --torch-backend"
    " --index-strategy".split()
)
"""Options with a value, which is the next word if it does not follow an equals sign."""


class PodUnsupportedError(Exception):
    """Something that pip is told and that cannot be said in a pod; its text says what."""


def installed(command: str) -> list[str] | None:
    """The requirements that a command installs with pip, and options for pip: one word each.

    Args:
        command: A line of a shell.

    Returns:
        Requirements as pip takes them, and options as in "--index-url=https://..."; "--requirement=FILE"
        stands for what is in a file. None if the command installs nothing.

    Raises:
        PodUnsupportedError: It has an option, or a variable, that holds on this machine only.
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
    """The words of one command, without where its output goes; None if it is more than one command."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";<>|&")
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        tokens = iter(list(lexer))
    except ValueError:  # a quote of the shell's own
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
            raise PodUnsupportedError(f"what stands for {word}")
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
    """The words with long options: -qU is --quiet --upgrade, -rFILE is --requirement FILE."""
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
    """Whether a requirement is a file or a folder, of which a pod knows nothing."""
    if word.startswith((".", "/", "~", "file:")):
        return True
    return word.endswith((".whl", ".tar.gz", ".zip")) and "://" not in word
