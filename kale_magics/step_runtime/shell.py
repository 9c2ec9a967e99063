"""`get_ipython()` in a step: shell commands, and the magics that work in a pod."""

from __future__ import annotations

import codecs
import io
import os
import re
import shlex
import string
import sys
from collections.abc import Callable, Collection
from typing import Any

from kale_magics.step_runtime.run_magic import run_file
from kale_magics.step_runtime.timing import Stopwatch, Timings, measure, timeit_options

NO_EFFECT = frozenset({
    "autoreload", "colors", "conda", "config", "history", "kale", "kale_attach", "kale_cancel", "kale_clean",
    "kale_compile", "kale_graph", "kale_logs", "kale_reset", "kale_run", "kale_runs", "kale_schedule",
    "load_ext", "matplotlib", "pdb", "pinfo", "pinfo2", "pip", "precision", "psearch", "reload_ext",
    "unload_ext", "who", "whos", "xmode",
})  # fmt: skip
"""Line magics that configure a notebook's display, or that have no work left in a step."""

DOLLAR = re.compile(r"(.*?)\$(\$?[\w.]+)(?=(?:[^']*'[^']*')*[^']*$)", re.DOTALL)
"""`$name` outside single quotes, and `$$name`, which stands for `$name`: IPython's `DollarFormatter`."""


SCRIPT_FLAGS = ("--no-raise-error", "--out", "--err")
"""Options of `%%bash` itself."""


class Lines(list[str]):
    """The lines that a command printed, as IPython's `SList`: `.l`, `.n` (by newlines), `.s` (by spaces)."""

    l = list = property(lambda self: self)  # noqa: E741 - IPython's name
    n = nlstr = property("\n".join)
    s = spstr = property(" ".join)


class Captured:
    """The output of a `%%capture` cell, as IPython's `CapturedIO`: `.stdout`, `.stderr`, `.outputs`.

    Args:
        flags: The streams that are not captured, as in "--no-stderr".
    """

    def __init__(self, flags: Collection[str]) -> None:
        self.outputs: list[Any] = []
        self.stdout = self.stderr = ""
        names = [name for name in ("stdout", "stderr") if f"--no-{name}" not in flags]
        self._streams = {name: (getattr(sys, name), io.StringIO()) for name in names}
        for name, (_, text) in self._streams.items():
            setattr(sys, name, text)

    def end(self) -> None:
        """Restore the streams."""
        for name, (stream, text) in self._streams.items():
            setattr(sys, name, stream)
            setattr(self, name, text.getvalue())
        self._streams = {}

    def show(self) -> None:
        """Print the captured output."""
        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)

    __call__ = show

    def __str__(self) -> str:
        return self.stdout


class Shell:
    """A replacement for IPython's shell.

    Args:
        namespace: The variables of the step.

    Attributes:
        captured: The captured output of the current cell; None if it does not capture.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.user_ns = namespace
        self.captured: Captured | None = None
        self.config: dict[str, Any] = {}
        self._stopwatches: list[Stopwatch] = []

    def begin_time(self) -> None:
        """Start to measure time, as for `%time`."""
        self._stopwatches.append(Stopwatch())

    def end_time(self, value: Any = None) -> Any:
        """Print the times since the last `begin_time`; return the measured value."""
        self._stopwatches.pop().show()
        return value

    def timeit(self, options: str, setup: str, statement: str) -> Timings | None:
        """Measure a statement as `%timeit` does; return the measurements if `-o` is given."""
        return measure(timeit_options(options)[0], setup, statement, self.user_ns)

    def run_script(self, name: str, arguments: list[str], flags: list[str], _: list[str]) -> None:
        """Run a script as `%run` does; the last argument, the names that it binds, is for the analysis."""
        run_file(name, arguments, set(flags), self.user_ns)

    def begin_capture(self, *flags: str) -> None:
        """Start to capture printed output."""
        self.captured = Captured(flags)

    def end_capture(self) -> Captured | None:
        """Stop capturing; return the captured output."""
        captured, self.captured = self.captured, None
        if captured is not None:
            captured.end()
        return captured

    def system(self, command: str) -> None:
        """Run a command, and print its output as it arrives."""
        code = run(self._expand(command), sys.stdout.write)
        self.user_ns["_exit_code"] = code if code <= 128 else 128 - code

    def getoutput(self, command: str) -> Lines:
        """Run a command; return the lines that it prints."""
        return output(self._expand(command))

    def run_line_magic(self, name: str, line: str) -> Any:
        """Run `%name line`."""
        if name in ("sx", "system", "sc"):
            return output(self._expand(line))
        action = getattr(self, f"_magic_{name}", None)
        if action is not None:
            return action(self._expand(line).strip())
        if name not in NO_EFFECT:
            raise RuntimeError(f"%{name} works only in a notebook")
        return None

    def run_cell_magic(self, name: str, line: str, cell: str) -> Any:
        """Run `%%name line` on a cell."""
        if name in ("sx", "system"):
            return output(self._expand(f"{line}\n{cell}"))
        if name not in ("bash", "sh", "writefile", "file"):
            raise RuntimeError(f"%%{name} works only in a notebook")
        words = shlex.split(self._expand(line))
        flags = {word for word in words if word.startswith("-")}
        if name in ("bash", "sh"):
            return run_script([name, *(word for word in words if word not in SCRIPT_FLAGS)], flags, cell)
        return write_file(flags, [word for word in words if word not in flags], cell)

    def _magic_cd(self, line: str) -> None:
        flags, folder = ("-q", line[2:].strip()) if line.split()[:1] == ["-q"] else ("", line)
        os.chdir(os.path.expanduser(folder.strip("\"'") or "~"))
        if not flags:
            print(os.getcwd())

    def _magic_pwd(self, _: str) -> str:
        return os.getcwd()

    def _magic_env(self, line: str) -> Any:
        if not line:
            return dict(os.environ)
        if "=" in line or " " in line:
            return self._magic_set_env(line)
        return os.environ[line]

    def _magic_set_env(self, line: str) -> None:
        name, _, value = line.partition("=" if "=" in line else " ")
        os.environ[name.strip()] = value.strip()
        print(f"env: {name.strip()}={value.strip()}")

    def _expand(self, text: str) -> str:
        """Replace `{expression}` and `$name` by values, in the scope of the user's call.

        As in IPython, a text in which something cannot be evaluated stays as it is.
        """
        names = {**self.user_ns, **sys._getframe(2).f_locals}
        try:
            return "".join(expand(text, names))
        except Exception:  # the user's expression may raise anything
            return text


def expand(text: str, names: dict[str, Any]) -> Any:
    """Yield the pieces of a text, with `{expression}` and `$name` replaced by values."""
    for literal, field, spec, conversion in string.Formatter().parse(text):
        end = 0
        for match in DOLLAR.finditer(literal):
            yield match[1]
            yield match[2] if match[2].startswith("$") else str(eval(match[2], names))  # noqa: S307 - the user's
            end = match.end()
        yield literal[end:]
        if field is not None:
            # A colon belongs to the expression, as a slice: IPython supports no format.
            value = eval(f"{field}:{spec}" if spec else field, names)  # noqa: S307 - the user's
            yield {"r": repr, "a": ascii}.get(conversion or "", str)(value)


def output(command: str) -> Lines:
    """Return the lines that a shell command prints."""
    printed: list[str] = []
    run(command, printed.append)
    return Lines("".join(printed).splitlines())


def run(command: Any, write: Callable[[str], Any], given: str = "") -> int:
    """Run a command, in the shell if it is a text, and pass on its output as it arrives.

    Args:
        command: A text for the user's shell, or a list of words.
        write: Receives the output.
        given: The command's standard input.

    Returns:
        Its exit code; negative if a signal ended it.
    """
    import subprocess
    import tempfile

    in_shell = isinstance(command, str)
    if in_shell and command.rstrip().endswith("&"):
        raise OSError("Background processes not supported.")
    sys.stdout.flush()
    with tempfile.TemporaryFile() as source:
        source.write(given.encode())
        source.seek(0)
        process = subprocess.Popen(  # noqa: S603 - the user's own command
            command,
            shell=in_shell,
            executable=os.environ.get("SHELL") if in_shell else None,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with process:
        pipe: Any = process.stdout
        while chunk := pipe.read1(1 << 16):
            write(decoder.decode(chunk))
            sys.stdout.flush()
        write(decoder.decode(b"", final=True))
    return process.returncode


def run_script(command: list[str], flags: set[str], cell: str) -> list[str] | None:
    """Run a `%%bash` or `%%sh` cell; words of its line other than the magic's own options go to the command.

    Returns:
        The output that `--out` or `--err` capture, in this order; the rest is printed.

    Raises:
        CalledProcessError: The command failed, which fails the cell as in a notebook.
    """
    import subprocess

    call_repr = [flag for flag in ("--out", "--err") if flag in flags]
    if call_repr:
        done = subprocess.run(command, input=cell, capture_output=True, text=True, check=False)  # noqa: S603 - too
        printed, code = {"--out": done.stdout, "--err": done.stderr}, done.returncode
        sys.stdout.write("" if "--out" in flags else done.stdout)
        sys.stderr.write("" if "--err" in flags else done.stderr)
    else:
        printed, code = {}, run(command, sys.stdout.write, cell)
    if code and "--no-raise-error" not in flags:
        raise subprocess.CalledProcessError(code, command[0])
    return [printed[flag] for flag in call_repr] or None


def write_file(flags: set[str], paths: list[str], cell: str) -> None:
    """Write a `%%writefile` cell."""
    path = os.path.expanduser(" ".join(paths))
    append = bool(flags & {"-a", "--append"})
    cell = cell if cell.endswith("\n") else cell + "\n"  # as in IPython, where every cell ends so
    print("Appending to" if append else "Overwriting" if os.path.exists(path) else "Writing", path)
    with open(path, "a" if append else "w", encoding="utf-8") as file:
        file.write(cell)
