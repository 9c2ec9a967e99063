"""From marked cells to a `Pipeline`: each step with its code, its inputs and its outputs."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from kale_magics.analysis.optional_packages import optional_packages
from kale_magics.analysis.packages import Needs, imported_paths, needs_of, project
from kale_magics.analysis.scripts import paths_of_scripts
from kale_magics.analysis.statements import keep_statements
from kale_magics.analysis.submodules import used_submodules
from kale_magics.analysis.uses import code_facts, uses_of
from kale_magics.dataflow.bindings import Definition, StepFlow, bound_by
from kale_magics.dataflow.edges import Edges, connect
from kale_magics.dataflow.notebook_analysis import analyze_notebook
from kale_magics.dataflow.notebook_flow import NotebookFlow
from kale_magics.model.diagnostics import Code, Diagnostic
from kale_magics.model.naming import encode_step, unique_keys
from kale_magics.model.nondeterminism import NONDETERMINISTIC, TIMERS_AND_TEMPFILES, first_mentioned
from kale_magics.model.options import NO_OPTIONS, StepOptions
from kale_magics.model.pipeline import (
    DEFAULT_ENVIRONMENT,
    CodeBlock,
    Environment,
    Input,
    Output,
    Parameter,
    Pipeline,
    Step,
)
from kale_magics.session.namespace import Session
from kale_magics.session.objects import Facts
from kale_magics.session.registry import Cell


@dataclass(frozen=True)
class Settings:
    """Settings of a pipeline that its cells do not contain.

    Attributes:
        name: The pipeline's name, for display.
        description: Free text.
        environment: Where the steps run on a cluster.
        slim_imports: Whether a step gets only those imports of the prelude that it may use.
        options: The options of every step that does not set them itself.
    """

    name: str = "pipeline"
    description: str = ""
    environment: Environment = DEFAULT_ENVIRONMENT
    slim_imports: bool = True
    options: StepOptions = NO_OPTIONS


@dataclass(frozen=True)
class Assembly:
    """The result of assembling a pipeline.

    Attributes:
        draft: The pipeline for display, with the errors left in; None if its steps depend on each other.
        diagnostics: The errors and warnings.
        cells: The cells of the notebook.
    """

    draft: Pipeline | None
    diagnostics: tuple[Diagnostic, ...]
    cells: tuple[Cell, ...] = ()

    @property
    def pipeline(self) -> Pipeline | None:
        """The pipeline; None if there is an error."""
        return None if any(d.severity == "error" for d in self.diagnostics) else self.draft


def assemble(
    cells: Sequence[Cell], session: Session | None = None, settings: Settings | None = None
) -> Assembly:
    """Assemble a pipeline from marked cells.

    Args:
        cells: In the order of the notebook; cells of kind "skip" are left out.
        session: What a live kernel knows; without one, only the code is known.
        settings: The pipeline's name and the like.

    Returns:
        The pipeline, or the errors that prevent it.
    """
    flow = analyze_notebook(cells, session or Session())
    if not flow.steps and not flow.diagnostics:
        flow.report(
            Code.NOTHING_MARKED,
            "no step is marked",
            "begin a cell with %%kale step NAME, run it, and try again",
        )
    edges = connect(flow)
    order = edges.ordered()
    edges.report_files()
    complete = len(order) == len(flow.steps)
    draft = _Assembler(flow, edges, settings or Settings()).pipeline(order) if complete else None
    return Assembly(draft, tuple(flow.diagnostics), tuple(cells))


class _Assembler:
    """Creates the parts of the pipeline.

    Args:
        flow: What the walk through the notebook has found out.
        edges: The dependencies between steps.
        settings: The pipeline's name and the like.
    """

    def __init__(self, flow: NotebookFlow, edges: Edges, settings: Settings) -> None:
        self.flow, self.edges, self.settings = flow, edges, settings
        self._imported: dict[tuple[int, int], frozenset[str]] = {}
        self._definitions: dict[int, list[Definition]] = defaultdict(list)
        for definition in flow.flow.state.definitions:
            self._definitions[definition.cell].append(definition)

    def pipeline(self, order: Sequence[StepFlow]) -> Pipeline:
        """Return the pipeline of steps in topological order."""
        names = [default.name for default in self.flow.parameters]
        keys = unique_keys(names, taken=["metrics"])
        self.parameters = {
            d.name: Parameter(d.name, keys[d.name], d.type, d.value) for d in self.flow.parameters
        }
        self.keys = unique_keys(
            [step.name for step in order], key_of=partial(encode_step, pipeline=self.settings.name)
        )
        self.artifacts = {step.name: self._artifacts(step) for step in order}
        steps = tuple(self._step(step) for step in order)
        settings = self.settings
        return Pipeline(
            settings.name, steps, tuple(self.parameters.values()), settings.description, settings.environment
        )

    def _artifacts(self, step: StepFlow) -> dict[str, Output]:
        """Return the artifact of each output variable of a step."""
        groups = self.edges.outputs[step.name]
        keys = unique_keys(["out_" + names[0] for names in groups], self._reserved_keys())
        found: dict[str, Output] = {}
        for names in groups:
            facts = [self._facts(step, name) for name in names]
            known = [f for f in facts if f is not None]
            sizes = [f.size for f in known if f.size is not None]
            artifact = Output(
                tuple(names),
                keys["out_" + names[0]],
                known[0].kind if len(names) == 1 and known else "Artifact",
                ", ".join(f.description for f in known),
                sum(sizes) if len(sizes) == len(names) else None,
            )
            found |= dict.fromkeys(names, artifact)
        return found

    def _reserved_keys(self) -> list[str]:
        return ["metrics", *(parameter.key for parameter in self.parameters.values())]

    def _facts(self, step: StepFlow, name: str) -> Facts | None:
        binding = step.local.get(name)
        return self.flow.flow.lookup.facts(binding) if binding is not None else None

    def _step(self, step: StepFlow) -> Step:
        kept = self._setup(step)
        setup = tuple(self._code(number, statements) for number, statements in kept)
        cells = tuple(self._code(n, range(len(self.flow.cells[n].facts.statements))) for n in step.cells)
        wanted = step.parameters | self.flow.prelude.parameters
        submodules = used_submodules(code.source for code in (*setup, *cells))
        options, needs = self._options(step), self._needs(step, kept, submodules)
        return Step(
            name=step.name,
            key=self.keys[step.name],
            setup=setup,
            cells=cells,
            parameters=tuple(p for name, p in self.parameters.items() if name in wanted),
            inputs=self._inputs(step),
            outputs=tuple(dict.fromkeys(self.artifacts[step.name].values())),
            after=tuple(name for name in step.after if name in self.flow.steps),
            metrics=tuple(step.metrics),
            packages=self._packages(step, options, needs),
            modules=needs.own,
            unavailable=needs.missing,
            options=options,
            facts=code_facts(tuple(code.source for code in (*setup, *cells))),
            nondeterminism=self._nondeterminism(step, setup),
            submodules=submodules,
            late=tuple(sorted(self._late(step).items())),
        )

    def _nondeterminism(self, step: StepFlow, setup: Sequence[CodeBlock]) -> str:
        """Return why a step may be non-deterministic, by its own code or the prelude; empty if it is not."""
        called = {**self.flow.prelude.varying_calls, **step.varying_calls}
        for origin, (number, line) in called.items():
            if origin not in TIMERS_AND_TEMPFILES:
                return f"it calls {origin} ({self.flow.cells[number].cell.label}, line {line})"
        own = (self.flow.cells[number].facts.python.source for number in step.cells)
        sources = (*(code.source for code in setup), *own)
        passed = first_mentioned(sources, NONDETERMINISTIC - TIMERS_AND_TEMPFILES, called=False)
        if passed:
            return f"it may call {passed}"
        return next((found for source in sources if (found := uses_of(source).reason)), "")

    def _options(self, step: StepFlow) -> StepOptions:
        """Merge the options of its cells, the last one first, with those of all steps."""
        options = self.settings.options
        for number in step.cells:
            options = self.flow.cells[number].cell.mark.options.over(options)
        return options

    def _inputs(self, step: StepFlow) -> tuple[Input, ...]:
        taken: dict[tuple[str, Output], list[str]] = defaultdict(list)
        for name, producer in self.edges.providers[step.name].items():
            taken[producer, self.artifacts[producer][name]].append(name)
        keys = unique_keys(["in_" + names[0] for names in taken.values()], self._reserved_keys())
        return tuple(
            Input(tuple(names), keys["in_" + names[0]], producer, artifact)
            for (producer, artifact), names in taken.items()
        )

    def _setup(self, step: StepFlow) -> list[tuple[int, list[int]]]:
        """Return what runs in a step before its inputs are loaded: cells, with their statements."""
        pieces: dict[int, list[int]] = {}
        for number in self.flow.prelude.cells:
            read = self.flow.cells[number]
            left_out = {d.statement for d in self._definitions[number] if not self._is_needed(step, d)}
            pieces[number] = [statement for statement in read.kept if statement not in left_out]
        for definition in step.replays:
            pieces.setdefault(definition.cell, []).append(definition.statement)
        late = {n: self.flow.cells[n].cell.kind != "imports" for n in pieces}
        return [(n, sorted(pieces[n])) for n in sorted(pieces, key=lambda n: (late[n], n)) if pieces[n]]

    def _late(self, step: StepFlow) -> dict[str, tuple[str, str]]:
        """Return the names that imports of the prelude bind and that a step does not import."""
        found: dict[str, tuple[str, str]] = {}
        for number in self.flow.prelude.cells:
            for definition in self._definitions[number]:
                if not self._is_needed(step, definition):
                    node = self.flow.cells[number].facts.python.tree.body[definition.statement]
                    found |= _bound_by_import(node)
        return found

    def _is_needed(self, step: StepFlow, definition: Definition) -> bool:
        """Whether a step gets a definition of the prelude."""
        return (
            definition.kind != "import"
            or not self.settings.slim_imports
            or step.dynamic
            or definition in step.imports
            or definition in self.flow.prelude.imports
            or "__future__" in definition.modules
            or self.flow.mentioned.isdisjoint(definition.names)
        )

    def _code(self, number: int, statements: Iterable[int]) -> CodeBlock:
        read = self.flow.cells[number]
        kept = set(statements)
        whole = len(kept) == len(read.facts.statements)
        source = read.facts.python.source
        defines = tuple(
            (name, f"{name}@{definition.identity}")
            for definition in self._definitions[number]
            if definition.kind != "import" and definition.statement in kept
            for name in definition.names
            if name not in self._replaced(number, definition)
        )
        kind = f"step {read.cell.name}" if read.cell.kind == "step" else read.cell.kind
        label = read.cell.label if read.cell.execution.count is not None else f"cell {number + 1}"
        text = source if whole else keep_statements(source, kept)
        return CodeBlock(text, kind, label, defines, number + 1)

    def _replaced(self, number: int, definition: Definition) -> set[str]:
        """Return the names of a definition that its cell binds again below."""
        replayed = {other.statement for other in self._definitions[number]}
        below = enumerate(self.flow.cells[number].facts.statements)
        return {
            name
            for statement, effects in below
            if statement > definition.statement and statement not in replayed
            for name in bound_by(effects)
        }

    def _needs(
        self, step: StepFlow, kept: Sequence[tuple[int, list[int]]], submodules: Iterable[str]
    ) -> Needs:
        """Return what the modules of a step need: of its imports, of its code, and of its inputs' types."""
        paths: set[str] = set(submodules)
        certain: set[str] = set()
        own = [(n, range(len(self.flow.cells[n].facts.statements))) for n in step.cells]
        for number, statements in (*kept, *own):
            for statement in statements:
                found = self._paths(number, statement)
                node = self.flow.cells[number].facts.python.tree.body[statement]
                certain |= found if isinstance(node, (ast.Import, ast.ImportFrom)) else set()
                paths |= found
        for name, producer in self.edges.providers[step.name].items():
            facts = self._facts(self.flow.steps[producer], name)
            paths |= facts.modules if facts is not None else self._code_paths(self.flow.steps[producer])
        return needs_of(paths, certain)

    def _code_paths(self, step: StepFlow) -> set[str]:
        """Return what a step's own code imports: an output of unknown type may be of one of these modules."""
        return {
            path
            for number in step.cells
            for statement in range(len(self.flow.cells[number].facts.statements))
            for path in self._paths(number, statement)
        } | {path for d in step.imports for path in self._paths(d.cell, d.statement)}

    def _packages(self, step: StepFlow, options: StepOptions, needs: Needs) -> tuple[str, ...]:
        """Return the packages that pip must install for a step: requested ones, and those of its modules."""
        asked = [
            *(p for n in self.flow.prelude.cells for p in self.flow.cells[n].facts.python.packages),
            *(p for n in step.cells for p in self.flow.cells[n].facts.python.packages),
            *options.packages,
        ]
        named = set(map(project, asked))
        packages = [*asked, *(p for p in needs.packages if project(p) not in named)]
        cells = [self.flow.cells[number] for number in step.cells]
        loaded = {module for read in cells for module in read.cell.execution.loaded}
        optional = optional_packages(loaded, [read.facts.python.tree for read in cells], packages)
        return tuple(dict.fromkeys([*packages, *optional]))

    def _paths(self, number: int, statement: int) -> frozenset[str]:
        if (number, statement) not in self._imported:
            node = self.flow.cells[number].facts.python.tree.body[statement]
            self._imported[number, statement] = imported_paths(node) | paths_of_scripts(node)
        return self._imported[number, statement]


def _bound_by_import(node: ast.stmt) -> dict[str, tuple[str, str]]:
    """Return the names that an import statement binds, each with its module and attribute."""
    if isinstance(node, ast.Import):
        return {a.asname or a.name.partition(".")[0]: (a.name, "") for a in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {a.asname or a.name: (node.module, a.name) for a in node.names if a.name != "*"}
    return {}
