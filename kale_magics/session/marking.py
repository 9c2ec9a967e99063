"""Mark cells: an input transformer, one call, and the events around an execution.

The transformer replaces the cell's first line by a call and leaves the rest to IPython, so that the cell runs
as it would without that line. The call, made when the cell runs, parses the line, and either rejects it or
adds the cell to the registry. The events before and after provide the cell and its result.
"""

from __future__ import annotations

import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.inputtransformer2 import (
    cell_magic,
    classic_prompt,
    ipython_prompt,
    leading_indent,
    make_tokens_by_line,
)
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

from kale_magics.model.diagnostics import Code, KaleError, Where, kale_error
from kale_magics.session import process_state
from kale_magics.session.guard import reported, run_uninterrupted
from kale_magics.session.loaded_modules import loaded_since
from kale_magics.session.own_modules import OwnModules
from kale_magics.session.registry import Cell, CellExecution, Registry, variables_of
from kale_magics.syntax.arguments import has_words
from kale_magics.syntax.commands import Mark, parse_mark
from kale_magics.syntax.step_options import check_files

if TYPE_CHECKING:
    from kale_magics.session.evidence import Evidence, MutationObserver

_CLEANERS: tuple[Callable[[list[str]], list[str]], ...] = (leading_indent, classic_prompt, ipython_prompt)
_call_of_cell_magic: Callable[[list[str]], list[str]] = cell_magic

_LINE = re.compile(r"(?P<signs>%%?)kale(?P<arguments>(?:[ \t].*)?)$")


@dataclass(frozen=True)
class Magic:
    """The first line of a marked cell.

    Attributes:
        text: As typed.
        arguments: The rest of the line after its name.
        above: The number of empty lines above it.
        body: The lines below it, with line ends, without common indentation.
    """

    text: str
    arguments: str
    above: int
    body: tuple[str, ...]

    @property
    def source(self) -> str:
        """The cell with an empty line in place of this one."""
        return "\n" * (self.above + 1) + "".join(self.body)

    @property
    def is_empty(self) -> bool:
        """Whether the cell contains nothing else but comments."""
        return all(not line.strip() or line.lstrip().startswith("#") for line in self.body)


def find_magic(text: str) -> Magic | None:
    """Return the magic that marks a cell, if its first line is one.

    Args:
        text: The cell as typed.

    Returns:
        None also for `%kale` without arguments, which shows the table. So does a `%%kale` alone in a cell;
        above code it is a mark without a kind.
    """
    lines = text.splitlines(keepends=True)
    above = _blank(lines)
    if above == len(lines) or "kale" not in lines[above]:
        return None
    lines = _cleaned(lines)
    match = _LINE.match(lines[above].strip())
    if match is None or (match["signs"] == "%" and not has_words(match["arguments"])):
        return None
    body = tuple(_cleaned(lines[above + 1 :]))
    return Magic(match.group(), match["arguments"].strip(), above, body)


class Transformer:
    """Replaces the line that marks a cell by a call. It has no side effects.

    Attributes:
        has_side_effects: True, so that IPython skips this transformer in completeness checks. There, the line
            must remain a cell magic, so that a terminal waits for the rest of the cell.
    """

    has_side_effects = True

    def __call__(self, lines: list[str]) -> list[str]:
        """Transform the lines of a cell; their number changes only if another cell magic follows."""
        magic = find_magic("".join(lines))
        if magic is None:
            return _as_line_magics(lines)
        call = f"get_ipython().run_line_magic('kale', {magic.arguments!r})\n"
        return ["\n"] * magic.above + [call, *_to_run(magic)]


@dataclass
class _Execution:
    """An execution that has started, and its cell."""

    info: ExecutionInfo
    count: int | None
    began: float
    magic: Magic | None
    observer: MutationObserver | None = None
    modules: frozenset[str] = frozenset()
    interrupted: bool = False
    cell: Cell | None = None
    environment: dict[str, str] = field(default_factory=dict)
    previous: dict[str, str | None] = field(default_factory=dict)

    def set_environment(self, variables: Mapping[str, str]) -> None:
        """Set environment variables for the cell."""
        self.environment = dict(variables)
        self.previous = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)

    def restore_environment(self) -> None:
        """Restore the session's environment variables, except those that the cell itself has set."""
        for name, before in self.previous.items():
            if os.environ.get(name) == self.environment[name]:
                os.environ.pop(name)
                os.environ.update({} if before is None else {name: before})

    @property
    def key(self) -> str:
        """What identifies the cell in all its executions: its id, or else its code."""
        return self.info.cell_id or ("".join(self.magic.body) if self.magic else self.info.raw_cell or "")

    @property
    def label(self) -> str:
        return f"In [{self.count}]" if self.count is not None else ""

    def place_of(self, arguments: str) -> Where:
        """Return the place of the last magic with these arguments."""
        lines = (self.info.raw_cell or "").splitlines()
        for number in range(len(lines), 0, -1):
            match = _LINE.match(lines[number - 1].strip())
            if match and match["arguments"].strip() == arguments.strip():
                return Where(self.label, "", number, match.group())
        return Where(self.label)

    def marked_cell(self) -> Cell | None:
        """Return the marked cell; None if the cell has no mark.

        Raises:
            KaleError: The line is invalid, or there is no code below it.
        """
        if self.magic is None:
            return None
        where = Where(self.label, "", self.magic.above + 1, self.magic.text)
        mark = parse_mark(self.magic.arguments, where)
        check_files(mark.options, Path.cwd(), where)
        if self.magic.is_empty:
            raise kale_error(
                Code.EMPTY_BODY,
                "the marked cell contains no code",
                "write the code below the magic, in the same cell",
                where,
            )
        line = "\n" * self.magic.above + self.magic.text
        execution = CellExecution(self.count)
        return Cell(mark, self.magic.source, self.info.cell_id, execution, line, self.began)


class Marking:
    """Adds the marked cells that a shell runs to a registry.

    Args:
        shell: The shell.
        registry: The registry of marked cells.
        modules: Updated after every cell.
        common: Returns the environment variables of all steps.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        registry: Registry,
        modules: OwnModules,
        common: Callable[[], Mapping[str, str]],
    ) -> None:
        self._shell = shell
        self._registry = registry
        self._transformer = Transformer()
        self._executions: list[_Execution] = []
        self._loaded: dict[str, frozenset[str]] = {}
        self._modules = modules
        self._common = common

    def load(self) -> None:
        """Register the transformer and the events."""
        process_state.forget_first_state()
        self._shell.input_transformers_cleanup.append(self._transformer)
        self._shell.events.register("pre_run_cell", self._begin)
        self._shell.events.register("post_run_cell", self._end)

    def unload(self) -> None:
        """Unregister everything, and restore the environment."""
        for execution in self._executions:
            execution.restore_environment()
            if execution.observer is not None:
                execution.observer.close()
        self._shell.input_transformers_cleanup.remove(self._transformer)
        self._shell.events.unregister("pre_run_cell", self._begin)
        self._shell.events.unregister("post_run_cell", self._end)

    @property
    def lacks_kind(self) -> bool:
        """Whether the running cell has code below a mark without a kind."""
        magic = self._executions[-1].magic if self._executions else None
        return magic is not None and not has_words(magic.arguments) and not magic.is_empty

    def mark(self, arguments: str) -> None:
        """Mark the running cell.

        Args:
            arguments: The rest of the line after the magic.

        Raises:
            KaleError: The magic is not the first line of the cell, is invalid, or has no code below it.
        """
        execution = self._executions[-1] if self._executions else None
        magic = execution.magic if execution else None
        if execution is None or magic is None or execution.cell or magic.arguments != arguments.strip():
            typed = f"kale {arguments}".strip()
            raise kale_error(
                Code.NOT_FIRST_LINE,
                f"the magic {typed} is not the first line of its cell",
                "move it to the first line, above comments and other magics",
                execution.place_of(arguments) if execution else None,
            )
        execution.cell = execution.marked_cell()
        if execution.interrupted:
            raise KeyboardInterrupt
        if execution.cell:
            variables = variables_of(execution.cell, self._registry.cells, self._common())
            execution.cell = execution.cell.seen(variables=tuple(variables.items()))
            self._registry.put(execution.cell)
            if execution.cell.mark.run:
                execution.set_environment(variables)

    def _begin(self, info: ExecutionInfo) -> None:
        if not run_uninterrupted(lambda: self._start(info)):
            return
        execution = self._executions[-1] if self._executions else None
        if execution is not None and execution.info is info and execution.magic:
            execution.interrupted = True  # IPython runs the cell even if this raises
        else:
            print("KeyboardInterrupt: received before the cell started; the cell still runs", file=sys.stderr)

    def _start(self, info: ExecutionInfo) -> None:
        # Some releases of IPython count before this event, others after it; the prompt is right in all.
        count = self._shell.displayhook.prompt_count if info.store_history else None
        magic = find_magic(info.raw_cell or "")
        observer = _observer_of(magic, self._shell, self._registry.cells) if magic else None
        modules = frozenset(sys.modules)
        self._executions.append(_Execution(info, count, time.time(), magic, observer, modules))

    @reported
    def _end(self, result: ExecutionResult) -> None:
        if run_uninterrupted(lambda: self._finish(result)):
            print("KeyboardInterrupt: received after the cell had finished", file=sys.stderr)

    def _finish(self, result: ExecutionResult) -> None:
        # IPython sends some end events without a start event, as for an empty cell.
        if not self._executions or self._executions[-1].info is not result.info:
            return
        execution = self._executions.pop()
        loaded = self._record_loaded(execution)
        execution.restore_environment()
        if execution.observer is not None:
            execution.observer.close()
        cell = execution.cell or (_not_python(execution) if result.error_before_exec else None)
        if cell is not None:
            self._registry.put(_finished(cell, result, execution.observer).seen(loaded=loaded))
        elif execution.info.cell_id is not None:
            self._registry.forget(execution.info.cell_id)
        self._modules.update()
        process_state.record_new_libraries(self._shell.user_ns)

    def _record_loaded(self, execution: _Execution) -> frozenset[str]:
        """Return the modules that a cell has loaded, now or earlier: a session loads a module only once."""
        before = self._loaded.get(execution.key, frozenset())
        self._loaded[execution.key] = before | loaded_since(execution.modules)
        return self._loaded[execution.key]


@reported
def _observer_of(magic: Magic, shell: Any, cells: Sequence[Cell]) -> MutationObserver | None:
    """Return an observer of the cell that starts, unless it is skipped."""
    # Its imports take longer than loading the extension.
    from kale_magics.session.evidence import MutationObserver

    mark = _mark(magic)
    if not mark.run or mark.kind == "skip":
        return None
    own = (
        c.execution.evidence
        for c in cells
        if c.kind == "step" and c.name == mark.name and c.execution.evidence
    )
    used = dict.fromkeys(name for evidence in own for name in evidence.fingerprints)
    return MutationObserver(magic.source, shell.user_ns, shell.user_ns_hidden, used)


def _finished(cell: Cell, result: ExecutionResult, observer: MutationObserver | None) -> Cell:
    """Return a cell with the state after its execution."""
    if not cell.mark.run:
        return cell
    if result.success:
        return cell.seen(state="ran", error="", evidence=_evidence_of(observer))
    error = result.error_in_exec or result.error_before_exec
    text = str(error) if isinstance(error, KaleError) else _last_line(error)
    first_line = text.partition("\n")[0]
    return cell.seen(state="failed", error=first_line, evidence=None)


def _last_line(error: BaseException | None) -> str:
    return traceback.format_exception_only(type(error), error)[-1] if error else ""


@reported
def _evidence_of(observer: MutationObserver | None) -> Evidence | None:
    """Return the evidence of a cell; None if there is none: the pipeline does not require it."""
    return observer.end() if observer else None


def _not_python(execution: _Execution) -> Cell | None:
    """Return a marked cell that IPython rejected before the call could run."""
    try:
        return execution.marked_cell()
    except KaleError:  # IPython has shown a syntax error; this error shows once that is fixed
        return None


def _blank(lines: Sequence[str]) -> int:
    return next((number for number, line in enumerate(lines) if line.strip()), len(lines))


def _cleaned(lines: Sequence[str]) -> list[str]:
    """Return lines without the indentation and the prompts that IPython removes, as many as before."""
    above = _blank(lines)
    rest = list(lines[above:])
    for clean in _CLEANERS:
        rest = clean(rest) if rest else rest
    return [*lines[:above], *rest]


def _to_run(magic: Magic) -> list[str]:
    """Return the lines that run below the call."""
    if not _mark(magic).run:
        return ["\n"] * len(magic.body)
    above = _blank(magic.body)
    if magic.body[above : above + 1] and magic.body[above].startswith("%%"):
        return _call_of_cell_magic(list(magic.body[above:]))
    return list(magic.body)


def _mark(magic: Magic) -> Mark:
    try:
        return parse_mark(magic.arguments)
    except Exception:  # the call reports the error; an exception in a transformer breaks the cell
        return Mark("skip")


def _as_line_magics(lines: list[str]) -> list[str]:
    """Turn a `%%kale` below other lines into a `%kale`, which reports a diagnostic for it."""
    if not any(_LINE.match(line.strip()) for line in lines) or lines[0].startswith("%%"):
        return lines
    starts = {
        tokens[0].start[0] - 1
        for tokens in make_tokens_by_line(lines)
        if [token.string for token in tokens[:3]] == ["%", "%", "kale"]
    }
    return [line[1:] if number in starts else line for number, line in enumerate(lines)]
