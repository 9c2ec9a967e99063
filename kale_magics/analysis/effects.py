"""The effects of code on names, as far as static analysis can find them, in the order of execution.

The names in effects are those of the notebook's namespace. Local names of a function, a comprehension or a
class body never appear: their effects are attributed to the notebook's names that they may refer to. The
effects of a function also name its own parameters, as `PARAMETER` followed by their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

PARAMETER = "@"
"""The prefix of a function's own parameters among the names of its effects."""

VARIABLES = "*"
"""The name of a source that may be any variable, because its name is computed."""

Relation = Literal["same", "holds", "part", "mixed", "call", "entered", "result", "weak"]
"""How an object relates to another one: it is the other or holds it ("same"), it is a container that holds it
("holds"), it is an element or an attribute of it ("part"), it holds parts of it if both are containers, as in
`xs + ys` ("mixed"), it is the result of a call with it as an argument ("call"), the same bound by a `with`
("entered"), it is the result of calling the other one ("result"), or it was computed from it in any other way
("weak")."""


@dataclass(frozen=True)
class Source:
    """A name whose object the value of an expression may be, hold or be part of.

    Attributes:
        name: The name.
        relation: How the value relates to that object.
        callee: For "call" and "entered": the callee, as in "np.swapaxes"; empty if it is not a plain chain of
            names.
        method: For "call" and "entered": the last attribute of the callee; empty for a plain name.
        argument: For "call" and "entered": the position or the keyword of the object; "self" for the object
            of a method.
        guessed: Whether it is only one of many candidates.
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
        certain: False if it may not happen, or may fail without harm.
    """

    name: str
    line: int
    certain: bool = True


@dataclass(frozen=True)
class Bind:
    """A name is bound to a value.

    Attributes:
        name: The name.
        line: In the cell, from 1.
        sources: What the value may share an object with.
        uses: All names that the value was computed from.
        behaviours: The functions that the expression makes.
        constant: Whether the value is certainly immutable.
        alias: The name that it is an alias of, as in `a = b`; empty for other values.
        function: The function that it is, as in `f = lambda: 1`; None for other values.
        made_by: The callee that makes the value, as in "collections.deque"; empty for other values.
        selectors: The names that select the value, as in `x if flag else y` or `models[name]`.
        fillers: The names that decide what a container holds, or whether it is empty.
        flags: The names among the arguments of calls: one that is a bool may select too.
        inplace: Whether the expression requests work in place, as with `copy=False`.
        path: The value as written, as in "random.shuffle", if it is a plain chain of names.
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
        cause: "write" always changes it, "operator" (`+=`) if it is mutable, "iteration" if it is an
            iterator, "item" if an item lookup changes it (`defaultdict`).
        linked: What it may hold afterwards.
        uses: All names that its new content was computed from.
        behaviours: The functions that the expression makes.
        path: The changed part as written, as in "config.DEBUG"; empty if it is not a plain chain of names.
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
    """A call. Its effects follow from those of the callee.

    Attributes:
        line: In the cell, from 1.
        path: As written, as in "np.random.shuffle"; empty if it is not a plain chain of names.
        method: The last attribute; empty for a plain call.
        receiver: For a method, the objects that it may change; else the called object.
        arguments: Position or keyword, and what the argument may be.
        inplace: Whether its arguments may request work in place: `inplace=True`, `copy=False`.
        certain: False in a branch of a function, which may not be taken.
        behaviours: The functions that its arguments make.
        selectors: The names that select the callee or its arguments, as in `table[name](x)`.
        paths: Position or keyword, and the argument as written if it is a plain chain of names.
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
    """One path through a branch.

    Attributes:
        effects: Its effects.
        ends: True if it does not reach the code after the branch.
    """

    effects: tuple[Effect, ...]
    ends: bool = False


@dataclass(frozen=True)
class Branch:
    """One of several paths is taken.

    Attributes:
        paths: The paths.
        loop: For a loop, the names that decide how often it runs; None for other branches.
        selectors: For other branches, the names that select the path.
    """

    paths: tuple[Path, ...]
    loop: frozenset[str] | None = None
    selectors: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Define:
    """A definition that another step can execute again: an import, a `def` or a `class`.

    Attributes:
        kind: Which of them.
        names: The names that it binds; for a star import, none.
        line: In the cell, from 1.
        module: For a star import, the module; else empty.
        modules: For an import, the modules that it imports.
        origins: For an import, the full path of each of its names, as in "numpy.random".
        behaviour: The effects of calling its functions; None for an import.
        at_once: The effects of the statement itself: decorators, defaults, bases, class body.
        default_sources: What its defaults may share objects with.
        decorators: Its decorators, as in "functools.lru_cache"; empty for one that is not a plain chain of
            names.
    """

    kind: Literal["import", "def", "class"]
    names: tuple[str, ...]
    line: int
    module: str = ""
    modules: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    behaviour: Behaviour | None = None
    at_once: tuple[Effect, ...] = ()
    default_sources: tuple[Source, ...] = ()
    decorators: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dynamic:
    """A lookup of names that static analysis cannot resolve: `eval`, `exec`, `globals()`.

    Attributes:
        line: In the cell, from 1.
        executes: Whether it may bind names too.
        evaluates: Whether it runs unknown code, which may change what it finds.
        selectors: The names that select what is looked up.
    """

    line: int
    executes: bool = False
    evaluates: bool = False
    selectors: frozenset[str] = frozenset()


Effect = Read | Bind | Mutate | Call | Unbind | Branch | Define | Dynamic


@dataclass(frozen=True, eq=False)
class Behaviour:
    """The effects of calling a function, or the methods of a class; equal only to itself.

    Attributes:
        name: Its name in the notebook; "lambda" for a function without one.
        parameters: The names of its parameters, in order; `self` included.
        effects: The effects of its body, without branches: all of them may happen.
        returns: What its result may share an object with.
        methods: For a class: its methods by name.
        positional: How many of its parameters take positions.
        vararg: The parameter that takes further positions; empty if there is none.
        kwarg: The parameter that takes further keywords; empty if there is none.
        mutable_defaults: The parameters whose default is mutable, and keeps its changes.
        implicit: Whether it runs without an explicit call: an operator, a property.
        keeps_state: Whether it makes closures that change what they capture, as a decorator that counts calls
            does.
        selects: Whether its arguments may select its result: it has branches, or looks items up by them.
        attributes: For a class: its class variables that are mutable.
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


def flattened_with_certainty(effects: tuple[Effect, ...], certain: bool = True) -> Iterator[Effect]:
    """Yield all effects, those in branches included; calls in branches other than loops are not certain."""
    for effect in effects:
        if isinstance(effect, Branch):
            for path in effect.paths:
                yield from flattened_with_certainty(path.effects, certain and effect.loop is not None)
        elif isinstance(effect, Call) and not certain:
            yield replace(effect, certain=False)
        else:
            yield effect


def flattened(effects: tuple[Effect, ...]) -> Iterator[Effect]:
    """Yield all effects, those in branches included."""
    for effect in effects:
        if isinstance(effect, Branch):
            for path in effect.paths:
                yield from flattened(path.effects)
        else:
            yield effect
