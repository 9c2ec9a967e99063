"""Calls of one callable with many samples, and what they say together."""

from __future__ import annotations

import inspect
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kale_magics.analysis.library_effects import LibraryEffects
from tests.probe.examples import ONLY_EXAMPLES
from tests.probe.hints import TOGGLED, kinds_of, option_kinds
from tests.probe.signatures import KEYWORD, POSITIONAL, Label, has_default, is_leading, labels_of
from tests.probe.trials import Arguments, Make, Outcome, Slot, observe, result_of

MAX_TRIES = 120
MAX_SUCCESSES = 6
MAX_KINDS = (24, 12, 7, 5, 4)
"""Kinds that are tried for each of one, two, three ... parameters."""

MAX_SECONDS = 6
"""Processor time that one callable may take."""

OPTION_BASES = 2
"""Successful calls with which each option is tried."""

ASPECTS = ("changes", "consumes", "calls", "shares", "keeps")
CONDITIONAL = {"changes": "may_change", "shares": "may_share"}

Kinds = Mapping[str, Callable[[], Any]]


@dataclass(frozen=True)
class Target:
    """A callable to probe.

    Attributes:
        name: As it is recorded, as in "numpy.sqrt"; for methods the type's name and the method's.
        makes: Give the callable, with the objects it may be a method of.
        variants: The same for objects made with an option, by the option's name; it is empty where only what
            they draw counts.
        library: Which samples suit it.
        signature: Its parameters, without the object; None if unknown.
        examples: Calls that are written by hand, each kinds of samples.
    """

    name: str
    makes: tuple[Make, ...]
    library: str
    signature: inspect.Signature | None
    variants: tuple[tuple[str, Make], ...] = ()
    examples: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = ()


@dataclass
class Finding:
    """What the calls of a target said together.

    Attributes:
        labels: For each field of `LibraryEffects`, the labels.
        result_types: The types of the results.
        hidden: Whether the state of the method's object could not be seen.
    """

    labels: dict[str, set[Label]] = field(default_factory=dict)
    result_types: set[type] = field(default_factory=set)
    hidden: bool = False

    def add(self, aspect: str, labels: frozenset[Label] | set[Label]) -> None:
        """Note labels of arguments."""
        self.labels.setdefault(aspect, set()).update(labels)

    def effects(self) -> LibraryEffects:
        """Return what was found; what happens without an option does not count as conditional."""
        found = {name: frozenset(labels) for name, labels in self.labels.items()}
        for certain, perhaps in CONDITIONAL.items():
            if perhaps in found:
                found[perhaps] -= found.get(certain, frozenset())
        if not found.get("may_change") and not found.get("may_share"):
            found.pop("options", None)
        return LibraryEffects(**found)


@dataclass(frozen=True)
class _Case:
    """Arguments for which a call succeeded, and what it did."""

    arguments: Arguments
    outcome: Outcome


class Prober:
    """Probes one target."""

    def __init__(self, target: Target, kinds: Kinds) -> None:
        self.target = target
        self.kinds = kinds
        self.finding = Finding()
        parameters = target.signature.parameters.values() if target.signature else ()
        self.parameters = list(parameters)
        self.succeeded = False
        self.end = time.process_time() + MAX_SECONDS

    def probe(self) -> Finding | None:
        """Return what calls of the target do, or None if none succeeded."""
        for make in self.target.makes:
            cases = list(self.cases(make))
            for case in cases:
                self.note(case.outcome)
            for number, case in enumerate(_bases(cases)):
                if time.process_time() > self.end:
                    break
                self.try_options(make, case, all_of_them=number == 0)
                self.try_variants(case)
        return self.finding if self.succeeded else None

    def cases(self, make: Make) -> Iterator[_Case]:
        """Try samples until enough calls succeeded."""
        found = 0
        for arguments in itertools.islice(self.arguments(), MAX_TRIES):
            if time.process_time() > self.end:
                return
            succeeded, _ = result_of(make, arguments)
            outcome = observe(make, arguments) if succeeded else None
            if outcome is not None:
                self.succeeded = True
                yield _Case(arguments, outcome)
                found += 1
                if found >= (MAX_SUCCESSES if len(arguments.positional) > 1 else 2 * MAX_SUCCESSES):
                    return

    def arguments(self) -> Iterator[Arguments]:
        """Samples for the parameters without a default, and then for one that has one, too."""
        for positional, keywords in self.target.examples:
            if not {*positional, *keywords.values()} <= self.kinds.keys():
                continue
            yield Arguments(
                tuple(self.kinds[kind] for kind in positional),
                {name: self.kinds[kind] for name, kind in keywords.items()},
            )
        if self.target.name in ONLY_EXAMPLES:
            return
        if self.target.signature is None:
            for count in range(4):
                yield from itertools.islice(self.combined([None] * count), MAX_TRIES // 3)
            return
        required = [p for p in self.parameters if not has_default(p)]
        leading = next((p for p in self.parameters if has_default(p)), None)
        given = [p for p in required if p.kind in POSITIONAL]
        if leading is not None and (leading.kind is leading.VAR_POSITIONAL):
            for count in range(4):
                yield from itertools.islice(self.combined(required + [leading] * count), MAX_TRIES // 3)
        elif leading is not None and is_leading(leading) and len(given) == len(required):
            yield from itertools.islice(self.combined(required), MAX_TRIES // 2)
            yield from self.combined([*required, leading])
        else:
            yield from self.combined(required)

    def combined(self, parameters: list[inspect.Parameter | None]) -> Iterator[Arguments]:
        """Combinations of kinds, first the same for all, then those that suit best."""
        most = MAX_KINDS[min(len(parameters), len(MAX_KINDS)) - 1] if parameters else 0
        options = [kinds_of(p, self.target.library, self.kinds)[:most] for p in parameters]
        combinations = [
            *zip(*options, strict=False),
            *sorted(itertools.product(*(range(len(o)) for o in options)), key=lambda c: (sum(c), c)),
        ]
        seen: set[tuple[str, ...]] = set()
        for combination in combinations:
            kinds = tuple(
                c if isinstance(c, str) else o[c] for c, o in zip(combination, options, strict=True)
            )
            if kinds not in seen and "out" not in kinds and "outs" not in kinds:
                seen.add(kinds)
                yield self.as_arguments(parameters, kinds)

    def as_arguments(self, parameters: list[inspect.Parameter | None], kinds: tuple[str, ...]) -> Arguments:
        positional: list[Callable[[], Any]] = []
        keywords: dict[str, Callable[[], Any]] = {}
        for parameter, kind in zip(parameters, kinds, strict=True):
            if parameter is not None and parameter.kind is parameter.KEYWORD_ONLY:
                keywords[parameter.name] = self.kinds[kind]
            else:
                positional.append(self.kinds[kind])
        return Arguments(tuple(positional), keywords)

    def note(self, outcome: Outcome) -> None:
        """Note what a call without options did."""
        self.finding.result_types.add(outcome.result_type)
        self.finding.hidden |= "self" in outcome.hidden
        self.finding.add("draws", outcome.draws)
        for aspect in ASPECTS:
            for slot in getattr(outcome, aspect):
                self.finding.add(aspect, self.labels(slot))

    def labels(self, slot: Slot) -> frozenset[Label]:
        """All labels of the parameter that an argument belongs to."""
        if slot == "self" or not self.parameters:
            return frozenset({slot})
        for position, parameter in enumerate(self.parameters):
            takes_rest = parameter.kind is parameter.VAR_POSITIONAL and isinstance(slot, int)
            if slot in (position, parameter.name) or (takes_rest and position <= int(slot)):
                return labels_of(parameter, position)
        return frozenset({"**"})

    def try_options(self, make: Make, case: _Case, all_of_them: bool) -> None:
        """Repeat a call with each option, and note what it does beyond what it did without.

        Args:
            make: Gives what is called.
            case: The call.
            all_of_them: Also options that are true or false and, by their name, do not concern copies.
        """
        taken = len(case.arguments.positional)
        for position, parameter in enumerate(self.parameters):
            is_switch = isinstance(parameter.default, bool) and not parameter.name.startswith(TOGGLED)
            if (
                (is_switch and not all_of_them)
                or position < taken
                or not has_default(parameter)
                or parameter.name in case.arguments.keywords
            ):
                continue
            for kind, value in self.option_values(make, case, parameter):
                arguments = self.with_option(case.arguments, parameter, value)
                if arguments is None or not result_of(make, arguments)[0]:
                    continue
                outcome = observe(make, arguments)
                if outcome is not None:
                    own = self.labels(parameter.name if parameter.kind in KEYWORD else position)
                    self.note_option(case.outcome, outcome, own, own)
                    if kind == "out":
                        break

    def with_option(
        self, arguments: Arguments, parameter: inspect.Parameter, value: Callable[[], Any]
    ) -> Arguments | None:
        if parameter.kind in KEYWORD:
            return Arguments(arguments.positional, {**arguments.keywords, parameter.name: value})
        if parameter.kind is parameter.VAR_KEYWORD:
            return Arguments(arguments.positional, {**arguments.keywords, "sample": value})
        if self.parameters.index(parameter) == len(arguments.positional):
            return Arguments((*arguments.positional, value), arguments.keywords)
        return None

    def option_values(
        self, make: Make, case: _Case, parameter: inspect.Parameter
    ) -> Iterator[tuple[str, Callable[[], Any]]]:
        names = option_kinds(parameter, self.kinds)
        if parameter.kind is parameter.VAR_KEYWORD:
            names = ["list"]
        for kind in names:
            if kind in ("out", "outs"):
                result = result_of(make, case.arguments)[1]
                value = _like(result, kind)
                if value is not None:
                    yield "out", value
            else:
                yield kind, self.kinds[kind]

    def try_variants(self, case: _Case) -> None:
        """Repeat a call on objects that were made with an option."""
        for option, make in self.target.variants:
            if result_of(make, case.arguments)[0] and (outcome := observe(make, case.arguments)):
                if option:
                    self.note_option(case.outcome, outcome, frozenset(), frozenset({option}))
                self.finding.add("draws", outcome.draws)

    def note_option(
        self, base: Outcome, outcome: Outcome, own: frozenset[Label], option: frozenset[Label]
    ) -> None:
        self.finding.add("draws", outcome.draws)
        for aspect in ASPECTS:
            before = {label for slot in getattr(base, aspect) for label in self.labels(slot)}
            for slot in getattr(outcome, aspect):
                labels = self.labels(slot)
                if labels <= before:
                    continue
                if labels == own or aspect not in CONDITIONAL:
                    self.finding.add(aspect, labels)
                else:
                    self.finding.add(CONDITIONAL[aspect], labels)
                    self.finding.add("options", option)


def _bases(cases: list[_Case]) -> list[_Case]:
    """The calls that options are tried with: the first ones, and the first ones with most arguments."""
    by_count = sorted(cases, key=lambda case: -len(case.arguments.positional))
    chosen = [*cases[:OPTION_BASES], *by_count[:OPTION_BASES]]
    return list({id(case): case for case in chosen}.values())


def _like(result: Any, kind: str) -> Callable[[], Any] | None:
    """An array, or arrays, that a result fits into; None if it is no array."""
    import numpy as np

    def one(part: Any) -> Any:
        other = ~part if part.dtype.kind == "b" else part + np.ones_like(part)
        return np.array(np.where(np.isfinite(other), other, 1), dtype=part.dtype)

    if kind == "outs" and isinstance(result, tuple) and all(hasattr(p, "dtype") for p in result):
        return lambda: tuple(one(part) for part in result)
    if kind == "out" and isinstance(result, np.ndarray | np.generic) and result.dtype.kind in "biufc":
        return lambda: one(result)
    return None
