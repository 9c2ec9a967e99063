"""The edges of the graph: which step hands what to which other one, and in which order they can run."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence

from kale_magics.dataflow.bindings import Binding, Definition, StepFlow
from kale_magics.dataflow.file_dependencies import FilesOfSteps
from kale_magics.dataflow.notebook_flow import RUN_TOGETHER, NotebookFlow, place_of_mark
from kale_magics.model.diagnostics import Code, Where
from kale_magics.model.graph import Graph
from kale_magics.step_runtime.suspects import explain_culprit
from kale_magics.syntax.arguments import quoted


class Edges:
    """Connects the steps.

    Args:
        flow: What the walk through the notebook has found out.

    Attributes:
        providers: For every step, and every variable that it takes, the step that hands that on.
        handed: For every step what it hands on: the variables of each artifact.
    """

    def __init__(self, flow: NotebookFlow) -> None:
        self.flow, self.session, self.steps = flow, flow.session, flow.steps
        self.providers: dict[str, dict[str, str]] = {}
        self.handed: dict[str, list[list[str]]] = {name: [] for name in self.steps}
        self._connect()

    def _connect(self) -> None:
        """Find the step that hands on each value that a step takes."""
        while True:
            together = self._united()
            if not self._carry():
                break
        for name, step in self.steps.items():
            for variable, maker in list(self.providers[name].items()):
                self._provide(step, step.takes[variable], self.steps[maker])
        for taken in self.providers.values():
            for variable, maker in taken.items():
                self._hand_on(maker, variable, together[maker])
        self._replay()
        for name, step in self.steps.items():
            for variable in self._results(step):
                self._hand_on(name, variable, together[name])
            self._tell_guesses(step)

    def _united(self) -> dict[str, list[set[str]]]:
        """Find the providers, so that names of one object come from one step; for each, such names."""
        self.providers = {n: {v: b.maker for v, b in s.takes.items()} for n, s in self.steps.items()}
        together: dict[str, list[set[str]]] = defaultdict(list)
        united: dict[str, list[set[str]]] = defaultdict(list)
        for step, group in self.flow.flow.partners:
            if step.name:
                self._unify(step, group, together, united[step.name])
        return together

    def _carry(self) -> bool:
        """Let steps take what they only pass on, where somebody takes it from them; whether any does."""
        wanted = [(maker, name) for taken in self.providers.values() for name, maker in taken.items()]
        wanted += [(step.name, name) for step in self.steps.values() for name in self._results(step)]
        carried = [(self.steps[maker], name) for maker, name in wanted if name in self.steps[maker].carried]
        for step, name in carried:
            if name in step.carried:
                step.takes[name] = step.carried.pop(name)
        return bool(carried)

    def _replay(self) -> None:
        """Let the steps have the definitions in the artifacts that they read: they read all of them."""
        needed: dict[int, set[Definition]] = {}
        for name, taken in self.providers.items():
            for variable, maker in taken.items():
                artifact = next((names for names in self.handed[maker] if variable in names), [])
                if id(artifact) not in needed:
                    bindings = (self.steps[maker].local.get(other) for other in artifact)
                    found = (self.flow.flow.definitions_of(b) for b in bindings if b is not None)
                    needed[id(artifact)] = set().union(*found)
                self.flow.flow.step = self.steps[name]
                for definition in sorted(needed[id(artifact)], key=lambda d: (d.cell, d.statement)):
                    self.flow.flow.replay(definition)

    def _tell_guesses(self, step: StepFlow) -> None:
        """What a step was taken to change because nothing tells, and who waits for that."""
        for name, what in step.guesses.items():
            waiting = [other for other, taken in self.providers.items() if taken.get(name) == step.name]
            if waiting and name.isidentifier():
                wait = f"{', '.join(waiting)} {'wait' if len(waiting) > 1 else 'waits'} for it"
                self.flow.tell(
                    Code.GUESSED_CHANGE,
                    f"step {step.name} may change {name} by {what}, of which nothing is known: {wait}",
                    f"if it only reads {name}, say so: %%kale step {quoted(step.name)} --reads {name}",
                    self.flow.place(step.cells[0]),
                    about=name,
                    severity="note",
                )

    def tell_files(self) -> None:
        """Tell of files that one step writes and another one uses with nothing to make it wait."""
        cells = {number: read.facts for number, read in self.flow.cells.items()}
        seen = {n: r.cell.evidence.files for n, r in self.flow.cells.items() if r.cell.evidence is not None}
        files = FilesOfSteps(self.steps, self.flow.prelude, cells, seen, self.flow.path_of)
        for earlier, later in files.unordered(self.graph):
            first, second = ("writes", "uses") if earlier.use.writes else ("uses", "writes")
            self.flow.tell(
                Code.FILE_WITHOUT_EDGE,
                f"step {earlier.step} {first} the file {earlier.use.text}, which step {later.step} {second}:"
                " nothing makes it wait",
                f"say so: %%kale step {quoted(later.step)} --after {quoted(earlier.step)}",
                self.flow.place(later.cell, later.use.line),
                about=later.use.text,
                severity="warning",
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
        return [name for name in found if self.session.unpicklable_part(name) is None]

    def _unify(
        self,
        step: StepFlow,
        group: frozenset[str],
        together: dict[str, list[set[str]]],
        united: list[set[str]],
    ) -> None:
        """Names of one object that a step takes come from one step, in one artifact."""
        members = sorted(group & step.takes.keys())
        if len(members) < 2:
            return
        found: dict[str, set[str]] = {}
        for maker in dict.fromkeys(step.takes[name].maker for name in reversed(members)):
            local = self.steps[maker].local
            there = {name for name in members if local.get(name) is step.takes[name]}
            for names in united:
                there -= set() if names <= there else names
            if len(there) > 1:
                found[maker] = there
        left = set(members)
        for maker in sorted(found, key=lambda maker: -len(found[maker])):
            there = found[maker] & left
            if len(there) > 1:
                self.providers[step.name] |= dict.fromkeys(sorted(there), maker)
                together[maker].append(there)
                united.append(there)
                left -= there

    def _provide(self, step: StepFlow, binding: Binding, maker: StepFlow) -> None:
        """Check that a step can hand on what another one takes."""
        if maker.local.get(binding.name) is not binding:
            later = next((n for n in maker.cells if n > step.cells[0]), maker.cells[-1])
            self.flow.tell(
                Code.INTERLEAVED,
                f"step {maker.name} changes {binding.name} after step {step.name} has used it;"
                f" {RUN_TOGETHER}",
                f"give this cell a name of its own, as in %%kale step {quoted(f'{maker.name}-2')}",
                self.flow.place(later),
                about=binding.name,
            )
            return
        if self.flow.flow.facts(binding) is None:
            return
        found = self.session.unpicklable_part(binding.name)
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
            Code.CANNOT_CROSS,
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

    def needs(self, step: StepFlow) -> list[str]:
        """The steps that a step waits for."""
        after = [name for name in step.after if name in self.steps]
        return list(dict.fromkeys([*self.providers[step.name].values(), *after]))

    @functools.cached_property
    def graph(self) -> Graph[str]:
        """Which step depends on which, by their names."""
        return Graph({name: self.needs(step) for name, step in self.steps.items()})

    def ordered(self) -> list[StepFlow]:
        """The steps in topological order, else in the notebook's; none if there is a cycle."""
        cycle = self.graph.cycle()
        if not cycle:
            return [self.steps[name] for name in self.graph.order()]
        if len(cycle) == 2:
            message = f"step {cycle[0]} is to run after itself"
        else:
            message = f"these steps wait for each other: {' -> '.join(cycle)}"
        fix, where = self._way_out(cycle)
        self.flow.tell(Code.CYCLE, message, fix, where)
        return []

    def _way_out(self, loop: Sequence[str]) -> tuple[str, Where]:
        """How to open a ring of steps: without an `--after`, else with a new name for a cell; and where."""
        for need, name in itertools.pairwise(loop):
            if need not in self.providers[name].values():
                numbers = self.steps[name].cells
                cell = next(c for n in numbers if need in (c := self.flow.cells[n].cell).after)
                return f"take --after {quoted(need)} away from step {name}", place_of_mark(cell)
        for name in loop:
            first = self.steps[name].cells[0]
            others = [n for other in set(loop) - {name} for n in self.steps[other].cells if n > first]
            for number in self.steps[name].cells:
                if others and number > min(others):
                    fix = f"give this cell a name of its own, as in %%kale step {quoted(f'{name}-2')}"
                    return fix, place_of_mark(self.flow.cells[number].cell)
        return "give each cell of these steps a name of its own", Where()
