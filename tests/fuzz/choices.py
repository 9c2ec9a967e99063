"""Statements in which a parameter decides on a type, an object, a branch, an option or a count."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from random import Random
from typing import Any

from tests.fuzz.patterns import Topic, long, short

NAMES = {
    "Flag": ("flag", "warm"),
    "Size": ("size",),
    "Op": ("op",),
    "Which": ("which",),
}

VALUES = {"op": ("append", "count", "remove", "index"), "which": ("a", "x", "m")}
"""What may be given for a parameter with a text."""

PARAMETERS = (
    "<+Flag> = <bool>",
    "<+Size> = <few>",
    "<+Op> = '<op>'",
    "<+Which> = '<which>'",
)
"""What a cell of parameters may have beside the ordinary ones."""

SIMPLE = short("""
<+L> = <L> if <Flag> else <L>  <+L> = <L> if <Flag> else <list>  <+L> = <L> if <Flag> else None
<+L> = [] if <Flag> else <L>
<+D> = <D> if <Flag> else {}  <+O> = <O> if <Flag> else <C>(<L>)  <+F> = <F> if <Flag> else <F>
<+G> = <G> if <Flag> else <G>
<+L> = <L> if <Size> > 1 else (<digit>,)  <L> += [<digit>] if <Flag> else [<L>]
<+I> = <digit> if <Flag> else [<digit>]
<I> += <digit> if <Flag> else 0  <+C> = <C> if <Flag> else <C>

getattr(<L>, <Op>)(<value>)  getattr(<L>, <Op>)(<L>)  (<L>.append if <Flag> else len)(<L>)
<D>[<Which>].append(<digit>)
<D>[<Which>] = <L>  <+L> = <D>[<Which>]  {'a': <L>, 'x': <L>}[<Which>].append(<int>)
<D>.get(<Which>, <L>).append(<digit>)
{'a': <F>, 'x': <F>}[<Which>]()  <Flag> and <L>.append(<int>)  <Flag> or <D>.update(x=<L>)
<L>.extend(<list> * <Size>)
[x.append(<digit>) for x in [<L>, <L>][:<Size>]]  <L>[<Size>:] = []
<+F> = <L>.clear if <Flag> else <L>.copy
<Object>.set(<Which>, <value>)  <+Object> = <Object> if <Flag> else <Class>(<digit>)
<+Class> = <Class> if <Flag> else <Class>
<Bus>.on(<L>.append if <Flag> else len)  <+L> = [<L>, <L>][<Flag>]  <Tree>[<Which>]
<+Tree> = <Tree> if <Flag> else defaultdict(list)

StandardScaler(copy=<Flag>).fit_transform(<Mat>)  <+Scaler> = MinMaxScaler(copy=<Flag>)
<+Vec> = <Vec>.astype(float, copy=<Flag>)
<+Vec> = np.array(<Vec>, copy=True) if <Flag> else np.asarray(<Vec>)
<+Vec> = <Vec> if <Flag> else <Vec>.copy()
<+Vec> = <Mat>[0] if <Flag> else <Mat>[0] * 1  <+Vec> = <Vec>[:<Size> + 1]  <Vec>[<Size>] = 9
<Mat>[:<Size>] += 1
np.add(<Vec>, 1, out=<Vec> if <Flag> else None)  np.multiply(<Vec>, 2, <Vec>) if <Flag> else None
np.nan_to_num(<Vec>, copy=<Flag>)
<+Series> = pd.Series(<Vec>, copy=<Flag>)  <Frame>.drop(columns='w', inplace=<Flag>)
<Frame>.sort_values('v', inplace=<Flag>)
<+Frame> = <Frame> if <Flag> else <Frame>.copy()  <Frame>.fillna(0, inplace=<Flag>)
<Frame>.loc[:<Size>, 'v'] = 0
<+Model> = <Model> if <Flag> else Ridge()  <+Model> = Ridge(copy_X=<Flag>)
(<Fix> if <Flag> else len)(<Vec>)
<+Fix> = <Fix> if <Flag> else np.sort  <+Gen> = <Gen> if <Flag> else np.random.default_rng(3)
""")

COMPOUND = long("""
if <Flag>:
<block>

if <Flag>:
<block>
else:
<block>

if not <Flag>:
<block>

if <Size> > 1:
<block>

for <+I> in range(<Size>):
<block>

for part in [<L>, <L>][:<Size>]:
    part.append(<digit>)

for part in [<Vec>, <Vec>] if <Flag> else [<Vec>]:
    part += 1

for part in [<Frame>, <Frame>] if <Flag> else []:
    part['z'] = <digit>

count = 0
while count < <Size>:
    count += 1
<block>

match <Which>:
    case 'a':
    <block>
    case 'x':
    <block>

try:
    [0, 1][<Size>]
except IndexError:
<block>

if <L> is not None:
    <L>.append(<digit>)

def <+F>():
    if <Flag>:
        <L>.append(<digit>)
    return <L>

def <+G>(a):
    return a if <Flag> else list(a)

def <+G>(a):
    getattr(a, <Op>)(<digit>)
    return len(a)

def <+Prep>(frame):
    frame = frame if <Flag> else frame.copy()
    frame['z'] = <digit>
    return frame

def <+Fix>(a):
    part = a if <Flag> else a.copy()
    part[0] = <digit>
    return part
""")

PLACES = {
    "bool": short("True  False"),
    "few": short("0  1  1  2"),
    "op": VALUES["op"],
    "which": VALUES["which"],
}

MORE = {
    "test": short("<Flag>  <Flag>  not <Flag>  <Size> > 1  <Which> == 'a'"),
    "int": short("<Size>"),
    "key": short("<Which>"),
}

TOPIC = Topic(NAMES, (), (), SIMPLE, COMPOUND, PLACES, MORE)


def given(random: Random, statements: Iterable[str]) -> dict[str, Any]:
    """Other values for some of the parameters that a cell assigns literals to."""
    values: dict[str, Any] = {}
    for text in statements:
        name, _, literal = text.partition(" = ")
        try:
            value = ast.literal_eval(literal)
        except ValueError:  # it is derived of others
            continue
        values[name] = _other(random, name, value)
    some = {name: value for name, value in values.items() if random.random() < 0.6}
    return some or values


def _other(random: Random, name: str, value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return random.choice([text for text in VALUES[name] if text != value])
    if isinstance(value, int):
        return random.choice([n for n in range(5) if n != value])
    number = random.randint(0, 9)
    return [number] * random.randint(0, 3) if isinstance(value, list) else {"x": [number] * 2, "a": number}
