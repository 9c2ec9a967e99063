"""What code does to names, as far as its text can tell: a few kinds of effects, in the order of execution.

The names in effects are those of the notebook's namespace. Names that belong to a function, a comprehension
or a class body never show: what happens to them is told of the notebook's names that they may stand for.
In the effects of a function its own parameters show too, as `PARAMETER` followed by their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

PARAMETER = "@"
"""What a function's own parameters begin with among the names of its effects."""

VARIABLES = "*"
"""What stands among the names of sources for all variables: one of them is found by a computed name."""

Relation = Literal["same", "holds", "part", "mixed", "call", "entered", "result", "weak"]
"""How an object is related to another one: it is the other or holds it ("same"), it is a container that holds
it ("holds"), it is taken out of it ("part"), it holds parts of it if both are containers, as in `xs + ys`
("mixed"), it is the result of a call that got it ("call"), the same as a variable of a `with` ("entered"), it
is what the other one gives when it is called ("result"), or it was computed from it in any other way
("weak")."""


@dataclass(frozen=True)
class Source:
    """A name whose object an expression may give, hold or be part of.

    Attributes:
        name: The name.
        relation: How they hang together.
        callee: For "call" and "entered": what is called, as in "np.swapaxes"; empty if that is no plain chain
            of names.
        method: For "call" and "entered": the last attribute of what is called; empty for a plain name.
        argument: For "call" and "entered": where the object went in, a position or a keyword; "self" for the
            object of a method.
        guessed: Whether it is only one of many that may be meant.
    """

    name: str
    relation: Relation = "same"
    callee: str = ""
    method: str = ""
    argument: int | str = -1
    guessed: bool = False


@dataclass(frozen=True)
class Read:
    """A name is looked up.

    Attributes:
        name: The name.
        line: In the cell, from 1.
        certain: False where it may not happen, or where it may fail without harm.
    """

    name: str
    line: int
    certain: bool = True


@dataclass(frozen=True)
class Bind:
    """A name gets a value.

    Attributes:
        name: The name.
        line: In the cell, from 1.
        sources: What the value may share an object with.
        uses: All names that the value was computed from.
        behaviours: The functions that are made in the expression.
        constant: Whether the value is known to be immutable.
        alias: The name whose value it is, as in `a = b`; empty for all other values.
        function: The function that it is, as in `f = lambda: 1`; None for all other values.
        made_by: What is called to make the value, as in "collections.deque"; empty for all other values.
        selectors: The names that decide what the value is, as in `x if flag else y` or `models[name]`.
        fillers: The names that decide what a container gets, or whether it gets anything.
        flags: The names that a call gets as arguments: one that is a bool may decide too.
        inplace: Whether something in the expression is asked to work in place, as by `copy=False`.
        path: The value as written, as in "random.shuffle", if it is a chain of names.
    """

    name: str
    line: int
    sources: tuple[Source, ...] = ()
    uses: frozenset[str] = frozenset()
    behaviours: tuple[Behaviour, ...] = ()
    constant: bool = False
    alias: str = ""
    function: Behaviour | None = None
    made_by: str = ""
    selectors: frozenset[str] = frozenset()
    fillers: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    inplace: bool = False
    path: str = ""


@dataclass(frozen=True)
class Mutate:
    """An object is changed.

    Attributes:
        source: The object.
        line: In the cell, from 1.
        cause: "write" changes it for certain, "operator" (`+=`) if it can be,
            "iteration" if it is an iterator, "item" if looking an item up changes it (`defaultdict`).
        linked: What it may hold from now on.
        uses: All names that what it holds was computed from.
        behaviours: The functions that are made in that expression.
        path: Which part, as written, as in "config.DEBUG"; empty where it is no plain chain of names.
    """

    source: Source
    line: int
    cause: Literal["write", "operator", "iteration", "item"] = "write"
    linked: tuple[Source, ...] = ()
    uses: frozenset[str] = frozenset()
    behaviours: tuple[Behaviour, ...] = ()
    path: str = ""


@dataclass(frozen=True)
class Call:
    """Something is called: who knows it knows what it changes.

    Attributes:
        line: In the cell, from 1.
        path: As written, as in "np.random.shuffle"; empty where it is no plain chain of names.
        method: The last attribute; empty for a plain call.
        receiver: For a method, the objects that it may change; else the object that is called.
        arguments: Position or keyword, and what the argument may be.
        inplace: Whether it may have been asked to work in place: `inplace=True`, `copy=False`.
        certain: False in a branch of a function, which may not be taken.
        behaviours: The functions that are made in its arguments.
        selectors: The names that decide what is called or what it gets, as in `table[name](x)`.
        paths: Position or keyword, and what the argument is where it is a plain chain of names.
    """

    line: int
    path: str
    method: str
    receiver: tuple[Source, ...]
    arguments: tuple[tuple[int | str, tuple[Source, ...]], ...] = ()
    inplace: bool = False
    certain: bool = True
    behaviours: tuple[Behaviour, ...] = ()
    selectors: frozenset[str] = frozenset()
    paths: tuple[tuple[int | str, str], ...] = ()


@dataclass(frozen=True)
class Unbind:
    """A name is deleted."""

    name: str
    line: int


@dataclass(frozen=True)
class Path:
    """One way through a branch.

    Attributes:
        effects: What happens on it.
        ends: True if what follows the branch is not reached from it.
    """

    effects: tuple[Effect, ...]
    ends: bool = False


@dataclass(frozen=True)
class Branch:
    """One of several ways is taken.

    Attributes:
        paths: The ways.
        loop: For a loop, the names that say how often; None for other branches.
        selectors: For other branches, the names that decide which way is taken.
    """

    paths: tuple[Path, ...]
    loop: frozenset[str] | None = None
    selectors: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Define:
    """A statement makes definitions that another step can replay: an import, a `def` or a `class`.

    Attributes:
        kind: Which of them.
        names: The names that it binds; for a star import, none.
        line: In the cell, from 1.
        module: For a star import, the module; else empty.
        modules: For an import, the modules that it imports.
        origins: For an import, what each of its names is, as in "numpy.random".
        behaviour: What its functions do when they are called; None for an import.
        at_once: What happens when the statement itself runs: decorators, defaults, bases, class body.
        held: What its defaults may share objects with.
        decorators: Its decorators, as in "functools.lru_cache"; empty texts for those that are no plain chain
            of names.
    """

    kind: Literal["import", "def", "class"]
    names: tuple[str, ...]
    line: int
    module: str = ""
    modules: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    behaviour: Behaviour | None = None
    at_once: tuple[Effect, ...] = ()
    held: tuple[Source, ...] = ()
    decorators: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dynamic:
    """Names are looked up in ways that the text does not show: `eval`, `exec`, `globals()`.

    Attributes:
        line: In the cell, from 1.
        executes: Whether names may be bound so too.
        evaluates: Whether code runs that nobody has seen: it may change what it finds.
        selectors: The names that decide what is looked up.
    """

    line: int
    executes: bool = False
    evaluates: bool = False
    selectors: frozenset[str] = frozenset()


Effect = Read | Bind | Mutate | Call | Unbind | Branch | Define | Dynamic


@dataclass(frozen=True, eq=False)
class Behaviour:
    """What a function does when it is called, or the methods of a class; equal only to itself.

    Attributes:
        name: What the notebook calls it; "lambda" for a function without a name.
        parameters: The names that its arguments get, in order; `self` included.
        effects: What its body does, without the branches: all of it may happen.
        returns: What its result may share an object with.
        methods: For a class: its methods by name.
        positional: How many of its parameters take positions.
        vararg: The parameter that takes further positions; empty if there is none.
        kwarg: The parameter that takes further keywords; empty if there is none.
        mutable_defaults: The parameters whose default can change, and stays changed.
        implicit: Whether it is called without a call: an operator, a property.
        keeps_state: Whether it makes functions that change what they have taken along, as a decorator that
            counts calls does.
        selects: Whether its arguments may decide what it gives: it has branches, or looks things up by them.
        attributes: For a class: its own variables whose objects can change.
    """

    name: str
    parameters: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    returns: tuple[Source, ...] = ()
    methods: dict[str, Behaviour] = field(default_factory=dict)
    positional: int = 0
    vararg: str = ""
    kwarg: str = ""
    mutable_defaults: frozenset[str] = frozenset()
    implicit: bool = False
    keeps_state: bool = False
    selects: bool = False
    attributes: frozenset[str] = frozenset()

    @property
    def is_class(self) -> bool:
        """Whether it is a class."""
        return bool(self.methods)


def straightened(effects: tuple[Effect, ...], certain: bool = True) -> Iterator[Effect]:
    """All effects, those of branches included; calls in branches are not certain, but for loops."""
    for effect in effects:
        if isinstance(effect, Branch):
            for path in effect.paths:
                yield from straightened(path.effects, certain and effect.loop is not None)
        elif isinstance(effect, Call) and not certain:
            yield replace(effect, certain=False)
        else:
            yield effect


def flattened(effects: tuple[Effect, ...]) -> Iterator[Effect]:
    """All effects, those of branches included."""
    for effect in effects:
        if isinstance(effect, Branch):
            for path in effect.paths:
                yield from flattened(path.effects)
        else:
            yield effect
