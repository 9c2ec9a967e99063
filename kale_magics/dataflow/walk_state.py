"""The state of the walk through the notebook, which its parts share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kale_magics.analysis.effects import Behaviour
from kale_magics.analysis.summaries import Summary
from kale_magics.dataflow.bindings import Binding, Definition, StepFlow
from kale_magics.dataflow.isolation import CacheUse
from kale_magics.session.evidence import Evidence
from kale_magics.session.namespace import Session

Missing = Callable[[StepFlow, str, int, bool], None]
Conflict = Callable[[StepFlow, str, Binding], None]
Contradicted = Callable[[StepFlow, str], None]

NO_EVIDENCE = Evidence()


def _unset(*_: Any, **__: Any) -> None:
    raise NotImplementedError


@dataclass
class WalkState:
    """What is known at one moment of the walk.

    Attributes:
        session: What a live kernel knows.
        last_bound: For every name the number of the last cell that binds it.
        losing_parts: The names of objects that may stop holding other objects.
        missing: Called for a name that is not defined above: step, name, line, whether that is certain.
        conflict: Called for a step that uses a value after another step has changed it.
        contradicted: Called for a step that changes a name of its `--reads`.
        apply: Applies the effects of a function that may be called; set by the walk.
        read: Reads a name in the current step; set by the part that knows what a read may change.
        names: The binding of every name.
        groups: For every name those that may share an object with it, itself included.
        incoming: The groups that the current cell has changed, as they were before. The first one with a name
            in it is what the cell received.
        definitions: All definitions that can be replayed.
        of_behaviour: The definition of each function and class.
        states: The bindings that functions and classes need, by their definitions.
        uses: For the number of a cell that defines or changes a value, and of one that uses it: its name.
        changes: The same for one that changes it.
        cache_uses: What steps do with the caches of functions.
        varying: The non-deterministic values of the prelude.
        escaped: Functions and classes of the prelude that a step may reach without naming them: a library, or
            Python itself, has a reference.
        shared_inputs: Steps, with names of their inputs that may share an object.
        summaries: What is known of functions.
        identities: How many definitions of each name there are.
        names_indexes: Whether a cell may name an index of pandas, so that sharing one matters.
        step: The current step.
        cell: The number of the current cell.
        evidence: What the session observed of that cell.
        rebound: The names that the cell binds more than once.
        cell_varies: Whether the cell names something that parameters decide.
        used: The names that the cell has read.
        expanded: The functions whose effects have been applied for the cell.
        statement: The number of the current statement.
        is_varying: Whether the statement computes something non-deterministic.
        given_varies: Whether the arguments of the current call are decided by parameters.
        expanding: The functions whose effects are being applied, the outermost first.
        late: Whether these effects are those of a function that may be called later.
        branches: How many branches are around the current effect.
        unsure: How many of them may not be executed.
        repeats: How many of them are loops that are applied twice.
        chosen: How many of them parameters choose.
        filled_by_given: How many of them are loops whose number of rounds parameters decide.
    """

    session: Session
    last_bound: dict[str, int]
    losing_parts: set[str]
    missing: Missing
    conflict: Conflict
    contradicted: Contradicted
    apply: Callable[..., None] = _unset
    read: Callable[..., None] = _unset
    names: dict[str, Binding] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    incoming: list[frozenset[str]] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    of_behaviour: dict[Behaviour, Definition] = field(default_factory=dict)
    states: dict[Definition, Binding] = field(default_factory=dict)
    uses: dict[tuple[int, int], str] = field(default_factory=dict)
    changes: dict[tuple[int, int], str] = field(default_factory=dict)
    cache_uses: list[CacheUse] = field(default_factory=list)
    varying: dict[str, Binding] = field(default_factory=dict)
    escaped: set[Behaviour] = field(default_factory=set)
    shared_inputs: list[tuple[StepFlow, frozenset[str]]] = field(default_factory=list)
    summaries: dict[Behaviour, Summary] = field(default_factory=dict)
    identities: dict[str, int] = field(default_factory=dict)
    names_indexes: bool = False
    step: StepFlow = field(default_factory=lambda: StepFlow(""))
    cell: int = -1
    evidence: Evidence = NO_EVIDENCE
    rebound: set[str] = field(default_factory=set)
    cell_varies: bool = False
    used: set[str] = field(default_factory=set)
    expanded: set[tuple[Behaviour, bool]] = field(default_factory=set)
    statement: int = -1
    is_varying: bool = False
    given_varies: bool = False
    expanding: list[Behaviour] = field(default_factory=list)
    late: bool = False
    branches: int = 0
    unsure: int = 0
    repeats: int = 0
    chosen: int = 0
    filled_by_given: int = 0
