"""From marked cells to a `Pipeline`: each step with its code, its inputs and what it hands on."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kale_magics.analysis.packages import imported_modules, requirements
from kale_magics.analysis.statements import cut
from kale_magics.arguments import quoted
from kale_magics.diagnostics import Code as Refusal
from kale_magics.diagnostics import Diagnostic, Where
from kale_magics.flow.bindings import Binding, Definition, StepFlow, bound_by
from kale_magics.flow.notebook import RUN_TOGETHER, NotebookFlow, mark_of
from kale_magics.naming import unique_keys
from kale_magics.objects import Facts
from kale_magics.pipeline import Artifact, Code, Input, Parameter, Pipeline, Step
from kale_magics.registry import Cell
from kale_magics.session import Session
from kale_magics.step_runtime.suspects import explain_culprit


@dataclass(frozen=True)
class Settings:
    """What a pipeline is told beside its cells.

    Attributes:
        name: Of the pipeline, for people.
        description: Free text.
        base_image: The container image of the steps.
        slim_imports: Whether a step gets only those imports of the prelude that it may use.
    """

    name: str = "pipeline"
    description: str = ""
    base_image: str = ""
    slim_imports: bool = True


@dataclass(frozen=True)
class Assembly:
    """What came of assembling.

    Attributes:
        draft: The pipeline as far as it can be made in spite of errors, to be looked at; None if its steps
            wait for each other.
        diagnostics: All there is to tell.
    """

    draft: Pipeline | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def pipeline(self) -> Pipeline | None:
        """The pipeline; None if there is an error."""
        return None if any(d.severity == "error" for d in self.diagnostics) else self.draft


def assemble(
    cells: Sequence[Cell], session: Session | None = None, settings: Settings | None = None
) -> Assembly:
    """Make a pipeline of marked cells.

    Args:
        cells: In the order of the notebook; cells of kind "skip" are left out.
        session: What a live kernel knows; without one, only the code tells.
        settings: The pipeline's name and the like.

    Returns:
        The pipeline, or why there is none.
    """
    flow = NotebookFlow(cells, session or Session())
    if not flow.steps and not flow.diagnostics:
        flow.tell(
            Refusal.NOTHING_MARKED,
            "no step is marked",
            "begin a cell with %%kale step NAME, run it, and try again",
        )
    assembler = _Assembler(flow, settings or Settings())
    assembler.connect()
    order = assembler.ordered()
    draft = assembler.pipeline(order) if len(order) == len(flow.steps) else None
    return Assembly(draft, tuple(flow.diagnostics))


class _Assembler:
    """Puts the steps together.

    Args:
        flow: What the walk through the notebook has found out.
        settings: The pipeline's name and the like.
    """

    def __init__(self, flow: NotebookFlow, settings: Settings) -> None:
        self.flow, self.settings = flow, settings
        self.session = flow.session
        self.steps = flow.steps
        self.providers: dict[str, dict[str, str]] = {}
        self.handed: dict[str, list[list[str]]] = {name: [] for name in self.steps}
        self._imported: dict[tuple[int, int], frozenset[str]] = {}
        self._definitions: dict[int, list[Definition]] = defaultdict(list)
        for definition in flow.flow.definitions:
            self._definitions[definition.cell].append(definition)

    # Who hands what to whom

    def connect(self) -> None:
        """Find the step that hands on each value that a step takes."""
        for name, step in self.steps.items():
            self.providers[name] = {n: b.maker for n, b in step.takes.items()}
        together: dict[str, list[set[str]]] = defaultdict(list)
        for step, group in self.flow.flow.partners:
            if step.name:
                self._unify(step, group, together)
        for name, step in self.steps.items():
            for variable, maker in list(self.providers[name].items()):
                self._provide(step, step.takes[variable], self.steps[maker])
        for taken in self.providers.values():
            for variable, maker in taken.items():
                self._hand_on(maker, variable, together[maker])
        for name, step in self.steps.items():
            for variable in self._results(step):
                self._hand_on(name, variable, together[name])
            self._tell_guesses(step)

    def _tell_guesses(self, step: StepFlow) -> None:
        """What a step was taken to change because nothing tells, and who waits for that."""
        for name, what in step.guesses.items():
            waiting = [other for other, taken in self.providers.items() if taken.get(name) == step.name]
            if waiting and name.isidentifier():
                wait = f"{', '.join(waiting)} {'wait' if len(waiting) > 1 else 'waits'} for it"
                self.flow.tell(
                    Refusal.GUESSED_CHANGE,
                    f"step {step.name} may change {name} by {what}, of which nothing is known: {wait}",
                    f"if it only reads {name}, say so: %%kale step {quoted(step.name)} --reads {name}",
                    self.flow.place(step.cells[0]),
                    about=name,
                    severity="note",
                )

    def _results(self, step: StepFlow) -> list[str]:
        """The models that a step makes: what it was run for, whether or not a later step takes them."""
        made = [
            (name, binding)
            for name, binding in step.local.items()
            if binding is not None
            and binding.maker == step.name
            and self.flow.flow.names.get(name) is binding
        ]
        found = [
            n for n, b in made if (facts := self.flow.flow.facts(b)) is not None and facts.kind == "Model"
        ]
        return [name for name in found if self.session.cannot_cross(name) is None]

    def _unify(self, step: StepFlow, group: frozenset[str], together: dict[str, list[set[str]]]) -> None:
        """Names of one object that a step takes come from one step, in one artifact."""
        members = sorted(group & step.takes.keys())
        if len(members) < 2:
            return
        found: dict[str, list[str]] = {}
        for maker in dict.fromkeys(step.takes[name].maker for name in reversed(members)):
            local = self.steps[maker].local
            found[maker] = [name for name in members if local.get(name) is step.takes[name]]
        maker = max(found, key=lambda maker: len(found[maker]))
        if len(found[maker]) > 1:
            self.providers[step.name] |= dict.fromkeys(found[maker], maker)
            together[maker].append(set(found[maker]))

    def _provide(self, step: StepFlow, binding: Binding, maker: StepFlow) -> None:
        """Check that a step can hand on what another one takes."""
        if maker.local.get(binding.name) is not binding:
            later = next((n for n in maker.cells if n > step.cells[0]), maker.cells[-1])
            self.flow.tell(
                Refusal.INTERLEAVED,
                f"step {maker.name} changes {binding.name} after step {step.name} has used it;"
                f" {RUN_TOGETHER}",
                f"give this cell a name of its own, as in %%kale step {quoted(f'{maker.name}-2')}",
                self.flow.place(later),
                about=binding.name,
            )
            return
        if self.flow.flow.facts(binding) is None:
            return
        found = self.session.cannot_cross(binding.name)
        if found is None:
            return
        if binding.name in step.optional:
            del self.providers[step.name][binding.name]
            del step.takes[binding.name]
            return
        path, kind, reason = found
        facts = self.session.facts(binding.name)
        whole = "" if path == binding.name or facts is None else f" (a {facts.type_name})"
        what, fix = explain_culprit(kind, reason, f"step {step.name}")
        self.flow.tell(
            Refusal.CANNOT_CROSS,
            f"{binding.name}{whole} cannot go from step {maker.name} to step {step.name}: {path} is {what}",
            fix,
            self.flow.place(binding.cell, binding.line),
            about=binding.name,
        )

    def _hand_on(self, maker: str, variable: str, together: Iterable[set[str]]) -> None:
        """Add a variable to what a step hands on, in one artifact with those that share its object."""
        artifacts = self.handed[maker]
        if any(variable in names for names in artifacts):
            return
        group = {variable}
        for names in together:
            group |= names if group & names else set()
        joined = [names for names in artifacts if group & set(names)]
        merged = list(dict.fromkeys([*(n for names in joined for n in names), variable, *sorted(group)]))
        artifacts[:] = [names for names in artifacts if names not in joined] + [merged]

    # The order

    def needs(self, step: StepFlow) -> list[str]:
        """The steps that a step waits for."""
        after = [name for name in step.after if name in self.steps]
        return list(dict.fromkeys([*self.providers[step.name].values(), *after]))

    def ordered(self) -> list[StepFlow]:
        """The steps, each after all that it needs, else in the notebook's order; tells of a cycle."""
        waiting = {name: set(self.needs(step)) for name, step in self.steps.items()}
        dependents: dict[str, list[str]] = defaultdict(list)
        for name, needs in waiting.items():
            for need in needs:
                dependents[need].append(name)
        place = {name: number for number, name in enumerate(self.steps)}
        ready = [(place[name], name) for name, needs in waiting.items() if not needs]
        order: list[StepFlow] = []
        while ready:
            _, name = heapq.heappop(ready)
            order.append(self.steps[name])
            for dependent in dependents[name]:
                waiting[dependent].discard(name)
                if not waiting[dependent]:
                    heapq.heappush(ready, (place[dependent], dependent))
        done = {step.name for step in order}
        if len(done) < len(self.steps):
            self._tell_cycle({name: needs for name, needs in waiting.items() if name not in done})
        return order

    def _tell_cycle(self, waiting: Mapping[str, set[str]]) -> None:
        path = [next(iter(waiting))]
        while path[-1] not in path[:-1]:
            path.append(next(n for n in self.needs(self.steps[path[-1]]) if n in waiting[path[-1]]))
        loop = path[path.index(path[-1]) :][::-1]
        if len(loop) == 2:
            message = f"step {loop[0]} is to run after itself"
        else:
            message = f"these steps wait for each other: {' -> '.join(loop)}"
        fix, where = self._way_out(loop)
        self.flow.tell(Refusal.CYCLE, message, fix, where)

    def _way_out(self, loop: Sequence[str]) -> tuple[str, Where]:
        """How to open a ring of steps: without an `--after`, else with a new name for a cell; and where."""
        for need, name in itertools.pairwise(loop):
            if need not in self.providers[name].values():
                numbers = self.steps[name].cells
                cell = next(c for n in numbers if need in (c := self.flow.cells[n].cell).after)
                return f"take --after {quoted(need)} away from step {name}", mark_of(cell)
        for name in loop:
            first = self.steps[name].cells[0]
            others = [n for other in set(loop) - {name} for n in self.steps[other].cells if n > first]
            for number in self.steps[name].cells:
                if others and number > min(others):
                    fix = f"give this cell a name of its own, as in %%kale step {quoted(f'{name}-2')}"
                    return fix, mark_of(self.flow.cells[number].cell)
        return "give each cell of these steps a name of its own", Where()

    # The pieces of the pipeline

    def pipeline(self, order: Sequence[StepFlow]) -> Pipeline:
        """The pipeline of steps that are in order."""
        names = [default.name for default in self.flow.parameters]
        keys = unique_keys(names, taken=["metrics"])
        self.parameters = {
            d.name: Parameter(d.name, keys[d.name], d.type, d.value) for d in self.flow.parameters
        }
        self.keys = unique_keys([step.name for step in order])
        self.artifacts = {step.name: self._artifacts(step) for step in order}
        steps = tuple(self._step(step) for step in order)
        settings = self.settings
        return Pipeline(
            settings.name, steps, tuple(self.parameters.values()), settings.description, settings.base_image
        )

    def _artifacts(self, step: StepFlow) -> dict[str, Artifact]:
        """What a step hands on: for every variable the artifact that it is in."""
        groups = self.handed[step.name]
        keys = unique_keys(["out_" + names[0] for names in groups], self._taken())
        found: dict[str, Artifact] = {}
        for names in groups:
            facts = [self._facts(step, name) for name in names]
            known = [f for f in facts if f is not None]
            sizes = [f.size for f in known if f.size is not None]
            artifact = Artifact(
                tuple(names),
                keys["out_" + names[0]],
                known[0].kind if len(names) == 1 and known else "Artifact",
                ", ".join(f.description for f in known),
                sum(sizes) if len(sizes) == len(names) else None,
            )
            found |= dict.fromkeys(names, artifact)
        return found

    def _taken(self) -> list[str]:
        return ["metrics", *(parameter.key for parameter in self.parameters.values())]

    def _facts(self, step: StepFlow, name: str) -> Facts | None:
        binding = step.local.get(name)
        return self.flow.flow.facts(binding) if binding is not None else None

    def _step(self, step: StepFlow) -> Step:
        kept = self._setup(step)
        setup = tuple(self._code(number, statements) for number, statements in kept)
        wanted = step.parameters | self.flow.prelude.parameters
        return Step(
            name=step.name,
            key=self.keys[step.name],
            setup=setup,
            cells=tuple(self._code(n, range(len(self.flow.cells[n].facts.statements))) for n in step.cells),
            parameters=tuple(p for name, p in self.parameters.items() if name in wanted),
            inputs=self._inputs(step),
            outputs=tuple(dict.fromkeys(self.artifacts[step.name].values())),
            after=tuple(name for name in step.after if name in self.steps),
            metrics=tuple(step.metrics),
            packages=self._packages(step, kept),
        )

    def _inputs(self, step: StepFlow) -> tuple[Input, ...]:
        taken: dict[tuple[str, Artifact], list[str]] = defaultdict(list)
        for name, maker in self.providers[step.name].items():
            taken[maker, self.artifacts[maker][name]].append(name)
        keys = unique_keys(["in_" + names[0] for names in taken.values()], self._taken())
        return tuple(
            Input(tuple(names), keys["in_" + names[0]], maker, artifact)
            for (maker, artifact), names in taken.items()
        )

    def _setup(self, step: StepFlow) -> list[tuple[int, list[int]]]:
        """What runs in a step before its inputs are there: numbers of cells, with numbers of statements."""
        pieces: dict[int, list[int]] = {}
        for number in self.flow.prelude.cells:
            read = self.flow.cells[number]
            left_out = {d.statement for d in self._definitions[number] if not self._wanted(step, d)}
            pieces[number] = [statement for statement in read.kept if statement not in left_out]
        for definition in step.replays:
            pieces.setdefault(definition.cell, []).append(definition.statement)
        late = {n: self.flow.cells[n].cell.kind != "imports" for n in pieces}
        return [(n, sorted(pieces[n])) for n in sorted(pieces, key=lambda n: (late[n], n)) if pieces[n]]

    def _wanted(self, step: StepFlow, definition: Definition) -> bool:
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

    def _code(self, number: int, statements: Iterable[int]) -> Code:
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
        label = read.cell.label if read.cell.execution_count is not None else f"cell {number + 1}"
        return Code(source if whole else cut(source, kept), f"{kind}, {label}", defines)

    def _replaced(self, number: int, definition: Definition) -> set[str]:
        """The names that stand for something else than a definition at the end of a definition's cell."""
        replayed = {other.statement for other in self._definitions[number]}
        below = enumerate(self.flow.cells[number].facts.statements)
        return {
            name
            for statement, effects in below
            if statement > definition.statement and statement not in replayed
            for name in bound_by(effects)
        }

    def _packages(self, step: StepFlow, kept: Sequence[tuple[int, list[int]]]) -> tuple[str, ...]:
        """What pip must install for a step: what it asks for, imports, or gets objects of."""
        asked = [
            p
            for n in (*self.flow.prelude.cells, *step.cells)
            for p in self.flow.cells[n].facts.python.packages
        ]
        modules: set[str] = set()
        own = [(n, range(len(self.flow.cells[n].facts.statements))) for n in step.cells]
        for number, statements in (*kept, *own):
            for statement in statements:
                modules |= self._modules(number, statement)
        for name in step.takes:
            facts = self._facts(step, name)
            if facts is not None and "." in facts.type_name:
                modules.add(facts.type_name.partition(".")[0])
        named = {p.partition("=")[0].partition("[")[0].strip("<>~!").lower() for p in asked}
        needed = [r for r in requirements(modules) if r.partition("==")[0].lower() not in named]
        return tuple(dict.fromkeys([*asked, *needed]))

    def _modules(self, number: int, statement: int) -> frozenset[str]:
        if (number, statement) not in self._imported:
            node = self.flow.cells[number].facts.python.tree.body[statement]
            self._imported[number, statement] = imported_modules(node)
        return self._imported[number, statement]
