"""The dependencies between steps: who outputs each input, and in which order the steps can run."""

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
from kale_magics.step_runtime.unpicklable import explain_unpicklable
from kale_magics.syntax.arguments import quoted


def connect(flow: NotebookFlow) -> Edges:
    """Find the edges between the steps of a notebook."""
    edges = Edges(flow)
    edges.connect()
    return edges


class Edges:
    """Finds the dependencies between steps.

    Args:
        flow: What the walk through the notebook has found out.

    Attributes:
        providers: For every step, and every input of it, the step that outputs that.
        outputs: For every step the variables of each output artifact.
    """

    def __init__(self, flow: NotebookFlow) -> None:
        self.flow, self.session, self.steps = flow, flow.session, flow.steps
        self._order = {name: number for number, name in enumerate(self.steps)}
        self.providers: dict[str, dict[str, str]] = {}
        self.outputs: dict[str, list[list[str]]] = {name: [] for name in self.steps}

    def connect(self) -> None:
        """Find the upstream step of each input."""
        while True:
            together = self._choose_providers()
            if not self._forward():
                break
        for name, step in self.steps.items():
            for variable, producer in list(self.providers[name].items()):
                self._check_output(step, step.inputs[variable], self.steps[producer])
        for taken in self.providers.values():
            for variable, producer in taken.items():
                self._add_output(producer, variable, together[producer])
        self._replay()
        for name, step in self.steps.items():
            for variable in self._results(step):
                self._add_output(name, variable, together[name])
            self._report_assumed_changes(step)

    def _choose_providers(self) -> dict[str, list[set[str]]]:
        """Choose the providers so that names of one object come from one step; return these names by step."""
        self.providers = {n: {v: b.producer for v, b in s.inputs.items()} for n, s in self.steps.items()}
        together: dict[str, list[set[str]]] = defaultdict(list)
        united: dict[str, list[set[str]]] = defaultdict(list)
        for step, group in self.flow.flow.state.shared_inputs:
            if step.name:
                self._unify(step, group, together, united[step.name])
        return together

    def _forward(self) -> bool:
        """Make forwarded values inputs where a downstream step needs them; return whether there are any."""
        wanted = [(self.steps[s], name) for taken in self.providers.values() for name, s in taken.items()]
        wanted += [(step, name) for step in self.steps.values() for name in self._results(step)]
        forwarded = [(step, name) for step, name in wanted if name in step.forwarded]
        for step, name in forwarded:
            if name in step.forwarded:
                step.inputs[name] = step.forwarded.pop(name)
        return bool(forwarded)

    def _replay(self) -> None:
        """Give each step the definitions used in the artifacts that it loads."""
        needed: dict[int, set[Definition]] = {}
        for name, taken in self.providers.items():
            for variable, producer in taken.items():
                artifact = next((names for names in self.outputs[producer] if variable in names), [])
                if id(artifact) not in needed:
                    bindings = (self.steps[producer].local.get(other) for other in artifact)
                    found = (self.flow.flow.lookup.definitions_of(b) for b in bindings if b is not None)
                    needed[id(artifact)] = set().union(*found)
                self.flow.flow.state.step = self.steps[name]
                for definition in sorted(needed[id(artifact)], key=lambda d: (d.cell, d.statement)):
                    self.flow.flow.lookup.replay(definition)

    def _report_assumed_changes(self, step: StepFlow) -> None:
        """Report changes that are only assumed, where a downstream step depends on them."""
        for name, what in step.assumed_changes.items():
            waiting = [other for other, taken in self.providers.items() if taken.get(name) == step.name]
            if waiting and name.isidentifier():
                users = f"{', '.join(waiting)} depend{'' if len(waiting) > 1 else 's'} on {step.name}"
                self.flow.report(
                    Code.ASSUMED_CHANGE,
                    f"step {step.name} may change {name}: the effect of {what} is unknown, so {users}",
                    f"if it only reads {name}, declare it: %%kale step {quoted(step.name)} --reads {name}",
                    self.flow.place(step.cells[0]),
                    about=name,
                    severity="note",
                )

    def report_files(self) -> None:
        """Report files that one step writes and another one uses without an order between the two."""
        cells = {number: read.facts for number, read in self.flow.cells.items()}
        seen = {
            n: r.cell.execution.evidence.files
            for n, r in self.flow.cells.items()
            if r.cell.execution.evidence is not None
        }
        files = FilesOfSteps(self.steps, self.flow.prelude, cells, seen, self.flow.path_of)
        for earlier, later in files.unordered(self.graph):
            first, second = ("writes", "uses") if earlier.use.writes else ("uses", "writes")
            self.flow.report(
                Code.FILE_WITHOUT_DEPENDENCY,
                f"step {earlier.step} {first} the file {earlier.use.text}, which step {later.step} {second}"
                f" without depending on {earlier.step}",
                f"add the dependency: %%kale step {quoted(later.step)} --after {quoted(earlier.step)}",
                self.flow.place(later.cell, later.use.line),
                about=later.use.text,
                severity="warning",
            )

    def _results(self, step: StepFlow) -> list[str]:
        """Return the models that a step creates: its results, whether or not a downstream step uses them."""
        made = [
            (name, binding)
            for name, binding in step.local.items()
            if binding is not None
            and binding.producer == step.name
            and self.flow.flow.state.names.get(name) is binding
        ]
        found = [
            n
            for n, b in made
            if (facts := self.flow.flow.lookup.facts(b)) is not None and facts.kind == "Model"
        ]
        return [name for name in found if self.session.unpicklable_part(name) is None]

    def _unify(
        self,
        step: StepFlow,
        group: frozenset[str],
        together: dict[str, list[set[str]]],
        united: list[set[str]],
    ) -> None:
        """Let inputs that share an object come from one step, in one artifact."""
        members = sorted(group & step.inputs.keys())
        if len(members) < 2:
            return
        found: dict[str, set[str]] = {}
        for producer in dict.fromkeys(step.inputs[name].producer for name in reversed(members)):
            local = self.steps[producer].local
            there = {name for name in members if local.get(name) is step.inputs[name]}
            for names in united:
                there -= set() if names <= there else names
            if len(there) > 1:
                found[producer] = there
        left = set(members)
        # A later step knows more of what shares an object, and has taken in all that does.
        for producer in sorted(found, key=lambda producer: -self._order[producer]):
            there = found[producer] & left
            if len(there) > 1:
                self.providers[step.name] |= dict.fromkeys(sorted(there), producer)
                together[producer].append(there)
                united.append(there)
                left -= there

    def _check_output(self, step: StepFlow, binding: Binding, producer: StepFlow) -> None:
        """Check that a step can output what another one needs."""
        if producer.local.get(binding.name) is not binding:
            later = next((n for n in producer.cells if n > step.cells[0]), producer.cells[-1])
            self.flow.report(
                Code.INTERLEAVED,
                f"step {producer.name} changes {binding.name} after step {step.name} has used it;"
                f" {RUN_TOGETHER}",
                f"give this cell another step name, as in %%kale step {quoted(f'{producer.name}-2')}",
                self.flow.place(later),
                about=binding.name,
            )
            return
        if self.flow.flow.lookup.facts(binding) is None:
            return
        found = self.session.unpicklable_part(binding.name)
        if found is None:
            return
        if binding.name in step.optional:
            del self.providers[step.name][binding.name]
            del step.inputs[binding.name]
            return
        path, kind, reason = found
        facts = self.session.facts(binding.name)
        whole = "" if path == binding.name or facts is None else f" (a {facts.type_name})"
        what, fix = explain_unpicklable(kind, reason, f"step {step.name}")
        self.flow.report(
            Code.NOT_SERIALIZABLE,
            f"{binding.name}{whole} cannot be passed from step {producer.name} to step {step.name}:"
            f" {path} is {what}",
            fix,
            self.flow.place(binding.cell, binding.line),
            about=binding.name,
        )

    def _add_output(self, producer: str, variable: str, together: Iterable[set[str]]) -> None:
        """Add an output variable to a step, in one artifact with those that share its object."""
        artifacts = self.outputs[producer]
        if any(variable in names for names in artifacts):
            return
        group = {variable}
        for names in together:
            group |= names if group & names else set()
        joined = [names for names in artifacts if group & set(names)]
        merged = list(dict.fromkeys([*(n for names in joined for n in names), variable, *sorted(group)]))
        artifacts[:] = [names for names in artifacts if names not in joined] + [merged]

    def needs(self, step: StepFlow) -> list[str]:
        """Return the steps that a step depends on."""
        after = [name for name in step.after if name in self.steps]
        return list(dict.fromkeys([*self.providers[step.name].values(), *after]))

    @functools.cached_property
    def graph(self) -> Graph[str]:
        """The steps that each step depends on, by their names."""
        return Graph({name: self.needs(step) for name, step in self.steps.items()})

    def ordered(self) -> list[StepFlow]:
        """Return the steps in topological order, else in the notebook's; none if there is a cycle."""
        cycle = self.graph.cycle()
        if not cycle:
            return [self.steps[name] for name in self.graph.order()]
        if len(cycle) == 2:
            message = f"step {cycle[0]} depends on itself"
        else:
            message = f"these steps depend on each other: {' -> '.join(cycle)}"
        fix, where = self._cycle_fix(cycle)
        self.flow.report(Code.CYCLE, message, fix, where)
        return []

    def _cycle_fix(self, cycle: Sequence[str]) -> tuple[str, Where]:
        """Return how to break a cycle: by removing an `--after`, else by another step name; and where."""
        for need, name in itertools.pairwise(cycle):
            if need not in self.providers[name].values():
                numbers = self.steps[name].cells
                cell = next(c for n in numbers if need in (c := self.flow.cells[n].cell).mark.after)
                return f"remove --after {quoted(need)} from step {name}", place_of_mark(cell)
        for name in cycle:
            first = self.steps[name].cells[0]
            others = [n for other in set(cycle) - {name} for n in self.steps[other].cells if n > first]
            for number in self.steps[name].cells:
                if others and number > min(others):
                    fix = f"give this cell another step name, as in %%kale step {quoted(f'{name}-2')}"
                    return fix, place_of_mark(self.flow.cells[number].cell)
        return "give each cell of these steps its own step name", Where()
