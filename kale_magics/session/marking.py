"""How a cell becomes marked: an input transformer, one call, and the events around an execution.

The transformer puts a call in the place of the cell's first line and leaves the rest to IPython, so that the
cell runs as it would without that line. The call, made as the cell runs, reads the line, refuses it or enters
the cell into the registry. The events before and after tell what the cell is and how it ended.
"""

from __future__ import annotations

import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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

from kale_magics.model.diagnostics import Code, KaleError, Where, refuse
from kale_magics.session import process_state
from kale_magics.session.guard import reported, run_uninterrupted
from kale_magics.session.loaded_modules import loaded_since
from kale_magics.session.own_modules import OwnModules
from kale_magics.session.registry import Cell, Registry, variables_of
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
        arguments: What follows its name.
        above: How many empty lines are above it.
        body: The lines below it, with their ends, without an indentation that all of them have.
    """

    text: str
    arguments: str
    above: int
    body: tuple[str, ...]

    @property
    def source(self) -> str:
        """The cell with this line left empty."""
        return "\n" * (self.above + 1) + "".join(self.body)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing below but comments."""
        return all(not line.strip() or line.lstrip().startswith("#") for line in self.body)


def find_magic(text: str) -> Magic | None:
    """The magic that marks a cell, if its first line is one.

    Args:
        text: The cell as typed.

    Returns:
        None for `%kale` with nothing behind it as well: that one shows the table. So does a `%%kale` in a
        cell with nothing else; above code it is a mark that does not say which kind.
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
    """Puts a call in the place of the line that marks a cell. It is pure.

    Attributes:
        has_side_effects: IPython leaves a transformer that says so out of completeness checks. There, the
            line must look like the cell magic that it is, so that a terminal waits for the cell's lines.
    """

    has_side_effects = True

    def __call__(self, lines: list[str]) -> list[str]:
        """Transform the lines of a cell; their number stays, unless another cell magic follows."""
        magic = find_magic("".join(lines))
        if magic is None:
            return _as_line_magics(lines)
        call = f"get_ipython().run_line_magic('kale', {magic.arguments!r})\n"
        return ["\n"] * magic.above + [call, *_to_run(magic)]


@dataclass
class _Execution:
    """An execution that has begun: what is known of its cell."""

    info: ExecutionInfo
    count: int | None
    began: float
    magic: Magic | None
    watch: MutationObserver | None = None
    modules: frozenset[str] = frozenset()
    interrupted: bool = False
    cell: Cell | None = None
    given: dict[str, str] = field(default_factory=dict)
    replaced: dict[str, str | None] = field(default_factory=dict)

    def give_variables(self, variables: Mapping[str, str]) -> None:
        """Let the cell have environment variables."""
        self.given = dict(variables)
        self.replaced = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)

    def take_variables(self) -> None:
        """Let the session have its own again, but for what the cell itself has set."""
        for name, before in self.replaced.items():
            if os.environ.get(name) == self.given[name]:
                os.environ.pop(name)
                os.environ.update({} if before is None else {name: before})

    @property
    def key(self) -> str:
        """What the cell has in common with its other executions: its id, or else its code."""
        return self.info.cell_id or ("".join(self.magic.body) if self.magic else self.info.raw_cell or "")

    @property
    def label(self) -> str:
        return f"In [{self.count}]" if self.count is not None else ""

    def place_of(self, arguments: str) -> Where:
        """Where the last magic with these arguments stands."""
        lines = (self.info.raw_cell or "").splitlines()
        for number in range(len(lines), 0, -1):
            match = _LINE.match(lines[number - 1].strip())
            if match and match["arguments"].strip() == arguments.strip():
                return Where(self.label, "", number, match.group())
        return Where(self.label)

    def read(self) -> Cell | None:
        """The cell that is marked, if one is.

        Raises:
            KaleError: The line cannot be read, or there is nothing below it.
        """
        if self.magic is None:
            return None
        where = Where(self.label, "", self.magic.above + 1, self.magic.text)
        mark = parse_mark(self.magic.arguments, where)
        check_files(mark.options, Path.cwd(), where)
        if self.magic.is_empty:
            raise refuse(
                Code.EMPTY_BODY,
                "the cell is marked, and there is no code in it",
                "write the code below the magic, in the same cell",
                where,
            )
        return Cell(
            mark.kind, self.magic.source, mark.name, mark.after, mark.run,
            self.info.cell_id, self.count, "not run", mark.reads, mark.options,
            self.began,
            mark="\n" * self.magic.above + self.magic.text,
        )  # fmt: skip


class Marking:
    """Enters the cells that a shell runs into a registry.

    Args:
        shell: The shell.
        registry: Where marked cells go.
        modules: Is to look whenever a cell has ended.
        common: Gives the environment variables that all steps are given.
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
        """Begin."""
        process_state.forget_first_state()
        self._shell.input_transformers_cleanup.append(self._transformer)
        self._shell.events.register("pre_run_cell", self._begin)
        self._shell.events.register("post_run_cell", self._end)

    def unload(self) -> None:
        """Leave nothing behind."""
        for execution in self._executions:
            execution.take_variables()
            if execution.watch is not None:
                execution.watch.close()
        self._shell.input_transformers_cleanup.remove(self._transformer)
        self._shell.events.unregister("pre_run_cell", self._begin)
        self._shell.events.unregister("post_run_cell", self._end)

    @property
    def lacks_kind(self) -> bool:
        """Whether the cell that is being executed has code below a mark that does not say which kind."""
        magic = self._executions[-1].magic if self._executions else None
        return magic is not None and not has_words(magic.arguments) and not magic.is_empty

    def mark(self, arguments: str) -> None:
        """Mark the cell that is being executed.

        Args:
            arguments: What follows the magic.

        Raises:
            KaleError: The magic is not the first line of the cell, cannot be read, or has nothing below it.
        """
        execution = self._executions[-1] if self._executions else None
        magic = execution.magic if execution else None
        if execution is None or magic is None or execution.cell or magic.arguments != arguments.strip():
            typed = f"kale {arguments}".strip()
            raise refuse(
                Code.NOT_FIRST_LINE,
                f"the magic that marks a cell, {typed}, is not the first line of its cell",
                "move it to the top, above comments and other magics too",
                execution.place_of(arguments) if execution else None,
            )
        execution.cell = execution.read()
        if execution.interrupted:
            raise KeyboardInterrupt
        if execution.cell:
            given = variables_of(execution.cell, self._registry.cells, self._common())
            execution.cell = replace(execution.cell, variables=tuple(given.items()))
            self._registry.put(execution.cell)
            if execution.cell.run:
                execution.give_variables(given)

    def _begin(self, info: ExecutionInfo) -> None:
        if not run_uninterrupted(lambda: self._start(info)):
            return
        execution = self._executions[-1] if self._executions else None
        if execution is not None and execution.info is info and execution.magic:
            execution.interrupted = True  # IPython goes on with a cell whatever is raised here
        else:
            print("KeyboardInterrupt: received before the cell started; the cell still runs", file=sys.stderr)

    def _start(self, info: ExecutionInfo) -> None:
        # IPython counts on before or after this event, depending on its release; the prompt is right in all.
        count = self._shell.displayhook.prompt_count if info.store_history else None
        magic = find_magic(info.raw_cell or "")
        watch = _watch(magic, self._shell, self._registry.cells) if magic else None
        modules = frozenset(sys.modules)
        self._executions.append(_Execution(info, count, time.time(), magic, watch, modules))

    @reported
    def _end(self, result: ExecutionResult) -> None:
        if run_uninterrupted(lambda: self._finish(result)):
            print("KeyboardInterrupt: received after the cell had finished", file=sys.stderr)

    def _finish(self, result: ExecutionResult) -> None:
        # IPython tells of some ends without a beginning, as that of an empty cell.
        if not self._executions or self._executions[-1].info is not result.info:
            return
        execution = self._executions.pop()
        loaded = self._note_loaded(execution)
        execution.take_variables()
        if execution.watch is not None:
            execution.watch.close()
        cell = execution.cell or (_not_python(execution) if result.error_before_exec else None)
        if cell is not None:
            self._registry.put(replace(_ended(cell, result, execution.watch), loaded=loaded))
        elif execution.info.cell_id is not None:
            self._registry.forget(execution.info.cell_id)
        self._modules.look()
        process_state.record_new_libraries(self._shell.user_ns)

    def _note_loaded(self, execution: _Execution) -> frozenset[str]:
        """The modules that a cell has loaded, now or earlier: a session loads a module once."""
        before = self._loaded.get(execution.key, frozenset())
        self._loaded[execution.key] = before | loaded_since(execution.modules)
        return self._loaded[execution.key]


@reported
def _watch(magic: Magic, shell: Any, cells: Sequence[Cell]) -> MutationObserver | None:
    """Watch the cell that begins, if it is of those whose objects go from step to step."""
    # What it needs takes longer to import than the extension to load.
    from kale_magics.session.evidence import MutationObserver

    mark = _mark(magic)
    if not mark.run or mark.kind == "skip":
        return None
    own = (c.evidence for c in cells if c.kind == "step" and c.name == mark.name and c.evidence)
    used = dict.fromkeys(name for evidence in own for name in evidence.fingerprints)
    return MutationObserver(magic.source, shell.user_ns, shell.user_ns_hidden, used)


def _ended(cell: Cell, result: ExecutionResult, watch: MutationObserver | None) -> Cell:
    """A cell after its execution."""
    if not cell.run:
        return cell
    if result.success:
        return replace(cell, state="ran", error="", evidence=_seen(watch))
    error = result.error_in_exec or result.error_before_exec
    said = str(error) if isinstance(error, KaleError) else _last_line(error)
    told = said.partition("\n")[0]
    return replace(cell, state="failed", error=told, evidence=None)


def _last_line(error: BaseException | None) -> str:
    return traceback.format_exception_only(type(error), error)[-1] if error else ""


@reported
def _seen(watch: MutationObserver | None) -> Evidence | None:
    """What was seen of a cell; None as well if it cannot be told: the pipeline does without."""
    return watch.end() if watch else None


def _not_python(execution: _Execution) -> Cell | None:
    """A marked cell that IPython refused before the call could be made."""
    try:
        return execution.read()
    except KaleError:  # IPython has shown why the cell failed; this shows when that is mended
        return None


def _blank(lines: Sequence[str]) -> int:
    return next((number for number, line in enumerate(lines) if line.strip()), len(lines))


def _cleaned(lines: Sequence[str]) -> list[str]:
    """Lines without the indentation and the prompts that IPython takes away, as many as before."""
    above = _blank(lines)
    rest = list(lines[above:])
    for clean in _CLEANERS:
        rest = clean(rest) if rest else rest
    return [*lines[:above], *rest]


def _to_run(magic: Magic) -> list[str]:
    """The lines that run below the call."""
    if not _mark(magic).run:
        return ["\n"] * len(magic.body)
    above = _blank(magic.body)
    if magic.body[above : above + 1] and magic.body[above].startswith("%%"):
        return _call_of_cell_magic(list(magic.body[above:]))
    return list(magic.body)


def _mark(magic: Magic) -> Mark:
    try:
        return parse_mark(magic.arguments)
    except Exception:  # the call reports it when it is made; a transformer that raises breaks the cell
        return Mark("skip")


def _as_line_magics(lines: list[str]) -> list[str]:
    """Turn a `%%kale` that is below other lines into a `%kale`, which refuses that in our words."""
    if not any(_LINE.match(line.strip()) for line in lines) or lines[0].startswith("%%"):
        return lines
    starts = {
        tokens[0].start[0] - 1
        for tokens in make_tokens_by_line(lines)
        if [token.string for token in tokens[:3]] == ["%", "%", "kale"]
    }
    return [line[1:] if number in starts else line for number, line in enumerate(lines)]
