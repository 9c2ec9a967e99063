"""Frames: in loops over displays, in groupby objects and windows, with lists in cells, and indexes."""

from __future__ import annotations

from tests.fuzz.patterns import Topic, long, short

TOPIC = Topic(
    names={
        "Frame": ("df", "train"),
        "Series": ("col", "ser"),
        "Index": ("keys",),
        "Group": ("by", "win"),
        "Prep": ("prep", "clean"),  # called with a frame
    },
    imports=short("""
import numpy as np
import pandas as pd
from contextlib import nullcontext
from functools import partial
from operator import methodcaller
"""),
    start=(
        "<+Frame> = <frame>",
        "<+Vec> = <vec>",
    ),
    simple=short("""
<+Frame> = <frame>  <+Frame> = <frame>  <+Frame> = <Frame>  <+Frame> = <Frame>.copy()
<+Frame> = <Frame>.assign(z=<int>)
<+Frame> = <Frame>[<Frame>['v'] > 1]  <+Frame> = <Frame>.head(2).reset_index(drop=True)
<+Frame> = <Frame>.sort_values('v')
<+Frame> = pd.concat([<Frame>, <Frame>], ignore_index=True).head(4)
<+Frame> = <Frame>.set_index('g').reset_index()
<+Frame> = pd.DataFrame({'v': <Vec>})  <+Frame> = pd.DataFrame({'v': [1, 2, 3]}, index=<Index>)
<+Frame>, <+Frame> = <Frame>, <Frame>

<Frame>['z'] = <int>  <Frame>['v'] = <Frame>['v'] * 2  <Frame>['v'] += 1
<Frame>['z'] = <Frame>['v'] + <digit>
<Frame>.loc[<Frame>['v'] > 1, 'v'] = 0  <Frame>.loc[0, 'v'] = <digit>  <Frame>.at[0, 'v'] = <digit>
<Frame>.iloc[0, 1] = <digit>
del <Frame>['w']  <Frame>.pop('w')  <+Series> = <Frame>.pop('w')  <Frame>.drop(columns='w', inplace=True)
<Frame>.sort_values('v', inplace=True)  <Frame>.reset_index(drop=True, inplace=True)
<Frame>.insert(0, 'k', <int>)
<Frame>.rename(columns={'w': 'u'}, inplace=True)  <Frame>.fillna(0, inplace=True)
<Frame>.eval('z = v + 1', inplace=True)
<Frame>.v = <Frame>.v + 1  <Frame>.index.name = 'id'  <Frame>.index = [f'r{i}' for i in range(len(<Frame>))]
<Frame>.columns.name = 'c'  <Frame>.attrs['a'] = <digit>  <Frame>.attrs.setdefault('x', []).append(1)
<Frame>.attrs['x'] = <L>
<Frame>.update(pd.DataFrame({'v': [9.0]}))  <Frame>[['v', 'w']] *= 2  <Frame>['v'] = <Series>
<Frame>['v'].sum()
<Frame>.loc  <Frame>.describe()  <Frame>.groupby('g').size()

<+Index> = <Frame>.index  <Index>.name = 'key'  <Index>.rename('z', inplace=True)  <Frame>.index = <Index>
<+Index> = pd.Index(list('xyz'))

<Frame>['l'] = [[n] for n in range(len(<Frame>))]  <Frame>['l'] = [<L> for n in range(len(<Frame>))]
<Frame>.at[0, 'l'].append(<int>)  <Frame>['l'].iloc[0].append(<int>)
<Frame>['l'].apply(lambda x: x.append(5))
<+L> = <Frame>.loc[0, 'l']  <+L> = <Frame>['l'].tolist()  <Frame>['v'].apply(<L>.append)
<Frame>['l'].map(len)

<+Series> = <Frame>['v']  <+Series> = <Frame>['v'].copy()  <+Series> = pd.Series(<Vec>, copy=False)
<+Series> = pd.Series(<Vec>)
<+Series> = pd.Series([1.0, 2.0, <digit>])  <+Series> = pd.Series([<L>, [1]])  <+Series> = <Series>
<Series>.iloc[0] = <digit>  <Series>[<Series> > 1] = 0  <Series> += 1  <Series>.name = 'x'
<Series>.sort_values(inplace=True)  <Series>.drop(<Series>.index[0], inplace=True)
<Series>.iloc[0].append(<int>)
<+Vec> = <Series>.values  <+Vec> = <Frame>['v'].to_numpy(dtype=float, copy=True)  <+L> = <Series>.tolist()

<+Group> = <Frame>.groupby('g')  <+Group> = <Frame>.groupby('g')['v']  <+Group> = <Frame>['v'].rolling(2)
<+Group> = <Series>.expanding()  <+Group> = <Frame>[['v', 'w']].rolling(2)
<+Group> = <Frame>[['v']].expanding()
<+Group> = <Frame>[['v']].resample('2D')  <+Group> = <Group>  <+I> = len(<Group>.sum())  <+O> = <C>(<Frame>)
<O>.v['z'] = 2  <O>.v = <Frame>
<O>.items = [<Group>]
<+D> = {'x': <Frame>}  <D>['x']['z'] = <digit>  <D>['x'] = <Frame>  <D>['x'].pop('w')  <L>.append(<Frame>)
<+D> = dict(list(<Frame>.groupby('g')))

<Prep>(<Frame>)  <Prep>(<Frame>)  <+Frame> = <Prep>(<Frame>)  <+Frame> = <Frame>.pipe(<Prep>)
list(map(<Prep>, [<Frame>, <Frame>]))  <+L> = [len(<Prep>(x)) for x in (<Frame>, <Frame>)]
[x.insert(0, 'n', 1) for x in [<Frame>]]  <+Prep> = lambda frame: frame.pop('w')
<+Prep> = pd.DataFrame.copy
<+F> = partial(<Frame>.pop, 'w')  <+Prep> = methodcaller('pop', 'v')
"""),
    compound=long("""
for part in [<Frame>, <Frame>]:
    part['z'] = part['v'] * 2

for part in (<Frame>, <Frame>):
    part.drop(columns='w', inplace=True, errors='ignore')
part = None

for name, part in {'a': <Frame>, 'b': <Frame>}.items():
    part['name'] = name

for part, x in zip([<Frame>, <Frame>], [1, 2]):
    part['z'] = x

for i, part in enumerate([<Frame>, <Frame>]):
    part.loc[0, 'v'] = i

for part in [<Frame>, <Frame>]:
    part['z'] = 1
    part = part.copy()
    part['y'] = 2

for <+Frame> in [<Frame>, <Frame>]:
<block>

for x in ['v', 'w']:
    <Frame>[x] = <Frame>[x] * 2

for i, row in <Frame>.iterrows():
    <Frame>.at[i, 'v'] = <digit>

for name, part in <Frame>.groupby('g'):
    <L>.append(len(part))

for x in <Frame>['l']:
    x.append(<int>)

frames = {'a': <Frame>, 'b': <Frame>}
frames['a']['z'] = <digit>

put, place = <Frame>.insert, <Frame>.loc
put(0, 'p', 1)
place[0, 'v'] = 2

with nullcontext(<Frame>) as part:
    part['z'] = 3

with pd.option_context('display.precision', 2):
<block>

def <+Prep>(frame):
    frame['z'] = frame['v'] + <digit>
    return frame

def <+Prep>(frame):
    frame = frame.copy()
    frame['z'] = 1
    return frame

def <+Prep>(frame):
    frame.drop(columns='w', inplace=True)

def <+Prep>(frame):
    frame = frame.assign(y=1)
    frame['z'] = 2
    return frame

def <+Prep>(*frames):
    for frame in frames:
        frame['n'] = len(frames)
    return frames[0]

def <+Prep>(frame):
    <L>.append(len(frame))
    return frame[frame['v'] > 0]

def <+Prep>(frame):
    <Frame>['q'] = len(frame)
    return <Frame>
"""),
    places={
        "frame": (
            "pd.DataFrame({'g': list('aab'), 'v': [1, 2, 3], 'w': [<digit>, 5, 1]})",
            "pd.DataFrame({'g': list('abab'), 'v': [4.0, 1.0, <digit>, 2.0], 'w': [1.5, 2.5, 0.5, 1.0]})",
            "pd.DataFrame({'g': list('ba'), 'v': [2, <digit>], 'w': [1, 1], 'l': [<L>, [2]]})",
            "pd.DataFrame({'g': list('xyx'), 'v': [2.0, 3.0, <digit>]}, index=list('rst'))",
            "pd.DataFrame({'g': list('aba'), 'v': [1, 2, <digit>]}, index=pd.date_range('2024', periods=3))",
            "<Frame>.copy()",
        ),
    },
    more={
        "test": short("len(<Frame>) > 2  'w' in <Frame>"),
        "int": short("len(<Frame>)  int(<Frame>['v'].max())"),
        "value": short("<Frame>"),
        "method": short("self.v['z'] = 1"),
    },
)
