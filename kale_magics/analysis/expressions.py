"""From the tree of an expression to its effects."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from kale_magics.analysis.choices import filler_nodes, may_be_flag, requests_in_place, selector_nodes, selects
from kale_magics.analysis.code_strings import (
    NO_ARGUMENTS,
    bound_by_script,
    has_own_namespace,
    parsed,
    script_in_place,
)
from kale_magics.analysis.effects import (
    PARAMETER,
    VARIABLES,
    Behaviour,
    Bind,
    Branch,
    Call,
    Dynamic,
    Mutate,
    Path,
    Read,
    Source,
    flattened,
    flattened_with_certainty,
)
from kale_magics.analysis.library_rules import CHANGING_METHODS, CONTAINER_METHODS, HOLDING_METHODS
from kale_magics.analysis.names import (
    NameReader,
    Scope,
    dotted,
    is_constant,
    labelled,
    part_of,
    variable_of_globals,
)
from kale_magics.analysis.scopes import Comprehension, bound_names, defaults_of, parameters_of
from kale_magics.analysis.syntax import is_of_shell
from kale_magics.step_runtime.shell import DOLLAR

LOOKUPS = frozenset({"eval", "exec", "globals", "locals", "vars"})
"""Functions that find variables by names that may be computed."""

COMMANDS = frozenset({"system", "getoutput", "run_line_magic", "run_cell_magic"})
"""Methods of IPython's shell that expand variables in their argument."""


SETTING_MAGICS = frozenset({"cd", "pushd", "popd", "env", "set_env"})
"""Magics that set the working directory or environment variables."""

MAX_OTHERS = 8
"""How many of the targets to its left a target may share objects with."""

QUERIES = frozenset({"query", "eval"})
"""Methods of frames that find variables of the notebook by `@name`."""

_AT_NAME = re.compile(r"@([^\W\d]\w*)")


class ExpressionReader(NameReader):
    """Collects the effects of expressions in `out`; `StatementReader` adds the statements."""

    def __init__(self) -> None:
        super().__init__()
        self.returns: list[Source] = []
        self.behaviours: list[Behaviour] = []
        self._arguments = 0
        self._calls: dict[ast.AST, Call] = {}

    def expression(self, node: ast.AST | None) -> None:
        """Collect the effects of an expression."""
        if node is None:
            return
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is not None:
            method(node)
        else:
            for child in ast.iter_child_nodes(node):
                self.expression(child)

    def _name(self, node: ast.Name) -> None:
        self.read(node.id, node.lineno)

    def _namedexpr(self, node: ast.NamedExpr) -> None:
        self.assign([node.target], node.value)

    def _ifexp(self, node: ast.IfExp) -> None:
        self.expression(node.test)
        self.branch(self.names_in(node.test), [node.body], [node.orelse])

    def _boolop(self, node: ast.BoolOp) -> None:
        self.expression(node.values[0])
        chosen = frozenset[str]().union(*map(self.names_in, node.values[:-1]))
        self.branch(chosen, node.values[1:], [])

    def branch(self, chosen: frozenset[str], *ways: Sequence[ast.AST]) -> None:
        """Add a branch: one of several sequences of expressions is evaluated, selected by some names."""
        paths = []
        for way in ways:
            with self.collecting() as effects:
                for node in way:
                    self.expression(node)
            paths.append(Path(tuple(effects)))
        self.out.append(Branch(tuple(paths), selectors=chosen))

    def _listcomp(self, node: Comprehension) -> None:
        self.expression(node.generators[0].iter)
        bound, _, _ = bound_names([g.target for g in node.generators])
        scope = Scope("comprehension", {name: [] for name in bound})
        with self.collecting() as effects:
            self.iterate(node.generators[0], scope)
            with self.scope(scope):
                for test in node.generators[0].ifs:
                    self.expression(test)
                for generator in node.generators[1:]:
                    self.expression(generator.iter)
                    self.iterate(generator, scope)
                    for test in generator.ifs:
                        self.expression(test)
                values = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
                for value in values:
                    self.expression(value)
                self._elements[node] = tuple(s for value in values for s in self.roots(value))
        loop = self.names_in(node.generators[0].iter)
        if any(isinstance(effect, Bind) for effect in flattened(tuple(effects))):
            self.out.append(Branch((Path(tuple(effects)), Path(())), loop))
        else:
            self.out += [
                replace(effect, selectors=effect.selectors | loop) if isinstance(effect, Call) else effect
                for effect in effects
            ]

    _setcomp = _dictcomp = _generatorexp = _listcomp

    def iterate(self, node: ast.comprehension | ast.For | ast.AsyncFor, scope: Scope | None = None) -> None:
        """Add the effects of iterating: each element is bound, in a scope of its own if one is given."""
        sources = self.roots(node.iter)
        for source in sources:
            if source.relation == "same":
                self.out.append(Mutate(source, node.iter.lineno, "iteration"))
        if scope is None:
            counts = isinstance(node.iter, ast.Call) and dotted(node.iter.func) == "range"
            self.bind(node.target, part_of(sources), self.names_in(node.iter), constant=counts)
        else:
            with self.scope(scope):
                self.bind(node.target, part_of(sources), frozenset())

    def _lambda(self, node: ast.Lambda) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            self.expression(default)
        if self.in_function or self._arguments:
            # The function most likely looks up later what the statement binds.
            before, self.late = self.late, self.targets
            self.inline(node.args, [node.body], ())
            self.late = before
        if not self.in_function:
            made = self.behaviour("lambda", node.args, [node.body])
            self.behaviours.append(made)
            self._elements[node] = tuple(s for s in made.returns if not s.name.startswith(PARAMETER))

    def inline(self, arguments: ast.arguments, body: Sequence[ast.AST], sources: Sequence[Source]) -> None:
        """Collect the effects of a function's body in place, as if it were called with any of `sources`."""
        if not sources and self.scopes:
            sources = [s for scope in self.scopes for name in scope.names.values() for s in name]
        bound, declared, _ = bound_names(body)
        names = {name: list[Source]() for name in bound}
        names |= {name: list(sources) for name in parameters_of(arguments)}
        with self.scope(Scope("function", names, declared)):
            self.body(body)

    def behaviour(
        self, name: str, arguments: ast.arguments, body: Sequence[ast.AST], owner: str = ""
    ) -> Behaviour:
        """Return the effects of calling a function later; `owner` is the class of a method."""
        parameters = parameters_of(arguments)
        bound, declared, _ = bound_names(body)
        names = {name: list[Source]() for name in bound}
        names |= {name: [Source(PARAMETER + name)] for name in parameters}
        for argument, default in defaults_of(arguments):
            names[argument.arg] += self.roots(default) if dotted(default) else ()
        if owner and parameters[:1] == ["cls"]:
            names["cls"].append(Source(owner))
        before, self.returns = self.returns, []
        outer, self.owner = self.owner, (owner, parameters[0]) if owner and parameters else ("", "")
        attributes, self.class_attributes = (
            self.class_attributes,
            self.class_attributes if owner else frozenset(),
        )
        with self.collecting() as effects, self.scope(Scope("function", names, declared)):
            self.body(body)
            if len(body) == 1 and isinstance(body[0], ast.expr):
                self.returns += self.roots(body[0])
        returns, self.returns = tuple(dict.fromkeys(self.returns)), before
        self.owner, self.class_attributes = outer, attributes
        return Behaviour(
            name,
            tuple(PARAMETER + parameter for parameter in parameters),
            tuple(flattened_with_certainty(tuple(effects))),
            returns,
            positional=len(arguments.posonlyargs) + len(arguments.args),
            vararg=PARAMETER + arguments.vararg.arg if arguments.vararg else "",
            kwarg=PARAMETER + arguments.kwarg.arg if arguments.kwarg else "",
            mutable_defaults=_mutable_defaults(arguments),
            selects=any(map(selects, body)),
        )

    def body(self, body: Sequence[ast.AST]) -> None:
        """Collect the effects of statements, or of the expression of a lambda."""
        for node in body:
            self.expression(node)

    def _yield(self, node: ast.Yield | ast.YieldFrom | ast.Await) -> None:
        self.expression(node.value)
        if not isinstance(node, ast.Await) and node.value is not None:
            self.returns += self.roots(node.value)

    _yieldfrom = _yield

    def _subscript(self, node: ast.Subscript) -> None:
        named = variable_of_globals(node)
        if named and isinstance(node.ctx, ast.Load) and not self.in_function:
            self.out.append(Read(named, node.lineno, self.certain))
            return
        self.expression(node.value)
        self.expression(node.slice)
        self.out += [Mutate(s, node.lineno, "item") for s in self.roots(node.value) if s.relation == "same"]

    def _call(self, node: ast.Call) -> None:
        path = dotted(node.func)
        self.expression(node.func)
        self._arguments += 1
        made = len(self.behaviours)
        arguments: list[tuple[int | str, tuple[Source, ...]]] = []
        for label, value in labelled(node):
            self.expression(value)
            arguments.append((label, self.roots(value)))
            if isinstance(value, ast.Attribute):
                self._method_argument(value, [other for _, other in labelled(node) if other is not value])
        self._arguments -= 1
        if path and self.find(path.partition(".")[0]) is not None:
            path = ""
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        receiver = self.roots(node.func.value if isinstance(node.func, ast.Attribute) else node.func)
        if method in CONTAINER_METHODS:  # it changes the container, not its elements
            receiver = tuple(source for source in receiver if source.relation != "holds")
        if method in HOLDING_METHODS and isinstance(node.func, ast.Attribute):
            self.put_into(node.func.value, (source for _, sources in arguments for source in sources))
        own, within = self._parts(node)
        asked = any(requests_in_place(keyword) for keyword in node.keywords)
        chosen = frozenset[str]().union(
            *map(self.names_in, selector_nodes(own)), *(c.selectors for c in within)
        )
        call = Call(
            node.lineno,
            path,
            method,
            receiver,
            tuple(arguments),
            inplace=asked or any(each.inplace for each in self._parts(node.func)[1]),
            behaviours=tuple(self.behaviours[made:]),
            selectors=chosen,
            paths=tuple((label, named) for label, value in labelled(node) if (named := dotted(value))),
        )
        self.out.append(call)
        self._calls[node] = call
        self._look_up(node, path, method)

    def _look_up(self, node: ast.Call, path: str, method: str) -> None:
        """Add the effects of a call through code in strings, names in strings or computed names."""
        if path in ("eval", "exec"):
            self._executed(node, path)
        elif path in LOOKUPS and not (path == "vars" and node.args):
            self.out.append(Dynamic(node.lineno))
        if method in CHANGING_METHODS and isinstance(node.func, ast.Attribute):
            self._named_by(node.func.value, node)
        if is_of_shell(node):
            self._executed_by_shell(node, method)
        if method in COMMANDS and is_of_shell(node):
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
            if method == "run_line_magic" and name in SETTING_MAGICS:
                self.out.append(Call(node.lineno, f"%{name}", "", ()))
            self._texts(node, _expanded)
            if method == "system":
                self.bind_name("_exit_code", node.lineno, constant=True)
        elif method in QUERIES:
            self._texts(node, _AT_NAME.findall)

    def _parts(self, expression: ast.expr) -> tuple[list[ast.AST], list[Call]]:
        """Return the nodes of an expression outside of calls that were analysed, and these calls."""
        own: list[ast.AST] = []
        within: list[Call] = []
        pending: list[ast.AST] = [expression]
        while pending:
            node = pending.pop()
            if node in self._calls:
                within.append(self._calls[node])
            else:
                own.append(node)
                pending += ast.iter_child_nodes(node)
        return own, within

    def _method_argument(self, method: ast.Attribute, others: Iterable[ast.expr]) -> None:
        """Add a call of a method that is an argument: the callee, like `map`, may apply it to the others."""
        owner = self.roots(method.value)
        if method.attr in CHANGING_METHODS:
            given = ((0, part_of(self.all_roots(others))),)
            self.out.append(Call(method.lineno, "", method.attr, owner, given, certain=False))
        elif method.attr == "__getitem__":
            self.out += [
                Mutate(source, method.lineno, "item") for source in owner if source.relation == "same"
            ]

    def _executed(self, node: ast.Call, path: str) -> None:
        """Add the effects of `eval` or `exec`; a string literal is analysed as if its code were here."""
        body = parsed(node.args[0] if node.args else None, path, node.lineno)
        if has_own_namespace(node):
            changed = self.roots(node.args[1]) if len(node.args) > 1 and path == "exec" else ()
            self.out += [Mutate(source, node.lineno) for source in changed]
        elif body is None:
            chosen = self.names_in(node)
            self.out.append(Dynamic(node.lineno, path == "exec", evaluates=True, selectors=chosen))
        elif path == "exec" and self.in_function:  # it binds local names of the function
            self.inline(NO_ARGUMENTS, body, ())
        else:
            self.body(body)

    def _executed_by_shell(self, node: ast.Call, method: str) -> None:
        """Add the effects of the code that `%timeit` measures, or of a script, which binds its names."""
        if method == "timeit":
            texts = [parsed(text, "exec", node.lineno) or [] for text in node.args[1:3]]
            self.inline(NO_ARGUMENTS, [statement for body in texts for statement in body], ())
        elif method == "run_script":
            self.body(script_in_place(node))
            for name in (names := bound_by_script(node)):
                self.bind_name(
                    name, node.lineno, tuple(Source(other, "part") for other in names[:MAX_OTHERS])
                )

    def _texts(self, node: ast.Call, names: Callable[[str], Iterable[str]]) -> None:
        """Add reads of the names that the strings among a call's arguments mention."""
        for argument in node.args[:2]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                with self.uncertain():
                    for name in names(argument.value):
                        self.read(name, node.lineno)

    def assign(self, targets: Sequence[ast.expr], value: ast.expr) -> None:
        """Add the effects of assigning the value of an expression to targets."""
        made = len(self.behaviours)
        before, self.targets = (
            self.targets,
            {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)},
        )
        with self.collecting() as effects:
            self.expression(value)
        self.targets = before
        self.out += effects
        uses = frozenset(e.name for e in flattened(tuple(effects)) if isinstance(e, Read))
        behaviours = tuple(self.behaviours[made:])
        others: tuple[Source, ...] = ()
        for target in targets:
            for one, its in self._paired(target, value):
                place = len(self.out)
                self.bind(one, (*self.roots(its), *others), uses, behaviours, is_constant(its))
                self.out[place:] = [
                    self._described(e, its, behaviours) if isinstance(e, Bind) else e
                    for e in self.out[place:]
                ]
            if isinstance(target, ast.Name) and not is_constant(value):
                others += self.roots(target)

    def _described(self, bound: Bind, value: ast.expr, behaviours: tuple[Behaviour, ...]) -> Bind:
        """Return a binding with the properties of its expression."""
        calls = [node for node in ast.walk(value) if isinstance(node, ast.Call)]
        arguments = [argument for call in calls for _, argument in labelled(call)]
        bound = replace(
            bound,
            selectors=frozenset().union(*map(self.names_in, selector_nodes(ast.walk(value)))),
            fillers=frozenset().union(*map(self.names_in, filler_nodes(value))),
            flags=frozenset().union(*(self.names_in(a) for a in arguments if may_be_flag(a))),
            inplace=any(requests_in_place(keyword) for call in calls for keyword in call.keywords),
        )
        if isinstance(value, ast.Name):
            return replace(bound, alias=value.id if self.find(value.id) is None else "")
        if isinstance(value, ast.Lambda) and behaviours:
            return replace(bound, function=behaviours[-1])
        if isinstance(value, (ast.Dict, ast.DictComp)):
            return replace(bound, made_by="dict")
        if isinstance(value, (ast.Set, ast.SetComp)):
            return replace(bound, made_by="set")
        if isinstance(value, ast.Attribute) and self.find(dotted(value).partition(".")[0]) is None:
            return replace(bound, path=dotted(value))
        if isinstance(value, ast.Call):
            path = dotted(value.func)
            return replace(bound, made_by=path if self.find(path.partition(".")[0]) is None else "")
        return bound

    def _paired(self, target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
        """Return what `paired` does, but one pair if the value reads a target, as in `a, b = b, a`."""
        pairs = paired(target, value)
        bound = {one.id for one, _ in pairs if isinstance(one, ast.Name)}
        if len(pairs) > 1 and not bound.isdisjoint(s.name for s in self.roots(value)):
            return [(one, value) for one, _ in pairs]
        return pairs

    def bind(
        self,
        target: ast.AST,
        sources: tuple[Source, ...],
        uses: frozenset[str],
        behaviours: tuple[Behaviour, ...] = (),
        constant: bool = False,
    ) -> None:
        """Add the effects of binding a target to a value."""
        if isinstance(target, ast.Name):
            self.bind_name(target.id, target.lineno, sources, uses, behaviours, constant)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, sources, uses, behaviours)
        elif isinstance(target, (ast.Tuple, ast.List)):
            # The results of one call may share objects, as two closures do.
            others: tuple[Source, ...] = ()
            for element in target.elts:
                self.bind(element, (*part_of(sources), *others[:MAX_OTHERS]), uses, behaviours)
                if isinstance(element, ast.Name):
                    others += part_of(self.roots(element))
        elif isinstance(target, ast.Subscript) and (named := variable_of_globals(target)):
            self.out.append(Bind(named, target.lineno, sources, uses, behaviours, constant))
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            self.expression(target.value)
            self.expression(getattr(target, "slice", None))
            path = dotted(target if isinstance(target, ast.Attribute) else target.value)
            linked = () if constant else sources
            changed = [root for root in self.roots(target.value) if root.relation != "holds"]
            self.put_into(target.value, linked)
            self._named_by(target.value, target)
            for root in changed:
                self.out.append(Mutate(root, target.lineno, "write", linked, uses, behaviours, path))

    def _named_by(self, owner: ast.expr, key: ast.AST) -> None:
        """Add a dynamic binding if the owner is `globals()`: the name of the variable is computed."""
        if any(source.name == VARIABLES and source.relation == "holds" for source in self.roots(owner)):
            chosen = self.names_in(key)
            self.out.append(Dynamic(owner.lineno, executes=True, selectors=chosen))

    def bind_name(
        self,
        name: str,
        line: int,
        sources: tuple[Source, ...] = (),
        uses: frozenset[str] = frozenset(),
        behaviours: tuple[Behaviour, ...] = (),
        constant: bool = False,
    ) -> None:
        """Add the binding of a name."""
        own = self.find(name)
        if own is None:
            self.out.append(Bind(name, line, sources, uses, behaviours, constant))
        else:
            self.add_referents(own, sources)


def _mutable_defaults(arguments: ast.arguments) -> frozenset[str]:
    """Return the parameters whose default is mutable."""
    return frozenset(PARAMETER + a.arg for a, default in defaults_of(arguments) if not is_constant(default))


def paired(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """Return targets with their values, one by one if both are displays, as in `a, b = 1, 2`."""
    if isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List)):
        starred = any(isinstance(element, ast.Starred) for element in (*target.elts, *value.elts))
        if len(target.elts) == len(value.elts) and not starred:
            return [pair for pairs in map(paired, target.elts, value.elts) for pair in pairs]
    return [(target, value)]


def _expanded(text: str) -> Iterator[str]:
    """Yield the names in `{expression}` and `$name` of a command."""
    try:
        fields = [
            f"{name}:{spec}" if spec else name for _, name, spec, _ in string.Formatter().parse(text) if name
        ]
    except ValueError:  # braces that belong to the command
        fields = []
    fields += [match[2] for match in DOLLAR.finditer(text)]
    for code in fields:
        try:
            tree = ast.parse(code.strip(), mode="eval")
        except SyntaxError:
            continue
        yield from (n.id for n in ast.walk(tree) if isinstance(n, ast.Name))
