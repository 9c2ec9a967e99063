"""Frames: in loops over displays, in groupby objects and windows, and what their cells and indexes hold."""

from tests.cases import Case

CASES = [
    Case(
        "frames in a loop over a list",
        """
%%kale imports
import pandas as pd
%%kale step load
train = pd.DataFrame({"age": [1, 2]})
test = pd.DataFrame({"age": [3]})
%%kale step add
for part in [train, test]:
    part["twice"] = part["age"] * 2
%%kale step show
print("RESULT", train.to_dict("list"), test.to_dict("list"))
""",
        "{'age': [1, 2], 'twice': [2, 4]} {'age': [3], 'twice': [6]}",
        cold=True,
    ),
    Case(
        "frames in a loop over a dictionary, under names",
        """
%%kale imports
import pandas as pd
%%kale step load
train = pd.DataFrame({"age": [1, 2]})
test = pd.DataFrame({"age": [3]})
%%kale step add
for name, part in {"train": train, "test": test}.items():
    part.insert(0, "set", name)
for frame in {"a": train}.values():
    del frame["age"]
%%kale step show
print("RESULT", train.to_dict("list"), test.to_dict("list"))
""",
        "{'set': ['train', 'train']} {'set': ['test'], 'age': [3]}",
        cold=True,
    ),
    Case(
        "frames in loops with zip and enumerate",
        """
%%kale imports
import pandas as pd
%%kale step load
train = pd.DataFrame({"age": [1, 2]})
test = pd.DataFrame({"age": [3]})
%%kale step add
for part, label in zip((train, test), "xy"):
    part["label"] = label
for i, part in enumerate([train, test]):
    part.loc[0, "age"] = 10 * i
%%kale step show
print("RESULT", train.to_dict("list"), test.to_dict("list"))
""",
        "{'age': [0, 2], 'label': ['x', 'x']} {'age': [10], 'label': ['y']}",
        cold=True,
    ),
    Case(
        "frames in a loop with methods that change in place",
        """
%%kale imports
import pandas as pd
%%kale step load
train = pd.DataFrame({"age": [2, 1], "id": [0, 1]})
test = pd.DataFrame({"age": [3], "id": [2]})
%%kale step clean
for part in (train, test):
    part.drop(columns="id", inplace=True)
    part.sort_values("age", inplace=True)
    part.rename(columns={"age": "years"}, inplace=True)
%%kale step show
print("RESULT", train.to_dict("list"), test.to_dict("list"))
""",
        "{'years': [1, 2]} {'years': [3]}",
        cold=True,
    ),
    Case(
        "a loop that binds its variable to something else after a change",
        """
%%kale imports
import pandas as pd
%%kale step load
train = pd.DataFrame({"age": [1, 2]})
test = pd.DataFrame({"age": [3]})
%%kale step add
for part in [train, test]:
    part["one"] = 1
    part = part[part["age"] > 1]
    part = part.assign(two=2)
%%kale step show
print("RESULT", train.columns.tolist(), test.columns.tolist(), part.columns.tolist())
""",
        "['age', 'one'] ['age', 'one'] ['age', 'one', 'two']",
        cold=True,
    ),
    Case(
        "frames in a function that takes any number of them",
        """
%%kale imports
import pandas as pd
%%kale functions
def prepare(*frames, **named):
    for frame in (*frames, *named.values()):
        frame["ready"] = True
%%kale step load
train = pd.DataFrame({"age": [1]})
test = pd.DataFrame({"age": [3]})
rest = pd.DataFrame({"age": [5]})
%%kale step prepare
prepare(train, test, more=rest)
%%kale step show
print("RESULT", *(list(frame) for frame in (train, test, rest)))
""",
        "['age', 'ready'] ['age', 'ready'] ['age', 'ready']",
        cold=True,
    ),
    Case(
        "frames that a map and a comprehension change",
        """
%%kale imports
import pandas as pd
%%kale functions
def mark(frame):
    frame["mark"] = len(frame)
    return frame
%%kale step load
train = pd.DataFrame({"age": [1, 2]})
test = pd.DataFrame({"age": [3]})
%%kale step add
marked = list(map(mark, [train]))
sizes = [len(mark(part)) for part in (test,)]
%%kale step show
print("RESULT", train.to_dict("list"), test.to_dict("list"), marked[0] is train)
""",
        "{'age': [1, 2], 'mark': [2, 2]} {'age': [3], 'mark': [1]} True",
        cold=True,
    ),
    Case(
        "frames that another step has put into a list",
        """
%%kale imports
import pandas as pd
%%kale step load
train = pd.DataFrame({"age": [1, 2]})
test = pd.DataFrame({"age": [3]})
parts = [train, test]
%%kale step add
for part in parts:
    part["old"] = part["age"] > 1
%%kale step show
print("RESULT", train.to_dict("list"), test.to_dict("list"), parts[1] is test)
""",
        "{'age': [1, 2], 'old': [False, True]} {'age': [3], 'old': [True]} True",
        cold=True,
    ),
    Case(
        "columns of a frame in a loop over their names",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"a": [1, 2], "b": [3, 4], "c": ["x", "y"]})
%%kale step scale
for column in frame.select_dtypes("number"):
    frame[column] *= 10
%%kale step show
print("RESULT", frame.to_dict("list"))
""",
        "{'a': [10, 20], 'b': [30, 40], 'c': ['x', 'y']}",
        cold=True,
    ),
    Case(
        "columns that come and go in several steps",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
%%kale step add
frame["c"] = frame.a + frame.b
frame.loc[frame["a"] > 1, "c"] = 0
%%kale step drop
gone = frame.pop("b")
frame = frame.assign(d=gone.max())
%%kale step show
frame.at[0, "d"] = 9
print("RESULT", frame.to_dict("list"), gone.tolist())
""",
        "{'a': [1, 2], 'c': [4, 0], 'd': [9, 4]} [3, 4]",
        cold=True,
    ),
    Case(
        "a frame's method and its indexers under names of their own",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"v": [1, 2]})
put, cell, place = frame.insert, frame.at, frame.loc
%%kale step change
put(0, "k", 5)
cell[0, "v"] = 6
%%kale step more
place[1, "v"] = 7
%%kale step show
print("RESULT", frame.to_dict("list"))
""",
        "{'k': [5, 5], 'v': [6, 7]}",
        cold=True,
    ),
    Case(
        "a groupby of a frame that changes",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"g": list("aab"), "v": [1, 2, 3]})
groups = frame.groupby("g")
%%kale step change
frame["v"] = frame["v"] * 10
%%kale step show
print("RESULT", groups["v"].sum().to_dict(), groups.obj is frame)
""",
        "{'a': 30, 'b': 30} True",
        cold=True,
    ),
    Case(
        "a groupby of a frame that gets a column",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"g": list("aab"), "v": [1, 2, 3]})
%%kale step group
groups = frame.groupby("g")
%%kale step add
frame["w"] = [1.0, 2.0, 4.0]
%%kale step show
print("RESULT", groups["w"].mean().to_dict())
""",
        "{'a': 1.5, 'b': 4.0}",
        cold=True,
    ),
    Case(
        "windows over a frame that changes",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"v": [1.0, 2.0, 3.0]})
windows, longer = frame.rolling(2), frame.expanding()
%%kale step change
frame.loc[0, "v"] = 10.0
%%kale step show
print("RESULT", windows.sum()["v"].tolist()[1:], longer.max()["v"].tolist())
""",
        "[12.0, 5.0] [10.0, 10.0, 10.0]",
        cold=True,
    ),
    Case(
        "a resampler of a frame that changes",
        """
%%kale imports
import pandas as pd
%%kale step load
days = pd.date_range("2024-01-01", periods=4)
frame = pd.DataFrame({"v": [1, 2, 3, 4]}, index=days)
pairs = frame.resample("2D")
%%kale step change
frame["v"] += 10
%%kale step show
print("RESULT", pairs["v"].sum().tolist())
""",
        "[23, 27]",
        cold=True,
    ),
    Case(
        "a groupby that a function has put into an object",
        """
%%kale imports
import pandas as pd
%%kale functions
class Report:
    def __init__(self, frame):
        self.groups = frame.groupby("g")
    def total(self):
        return self.groups["v"].sum().to_dict()
%%kale step load
frame = pd.DataFrame({"g": list("ab"), "v": [1, 2]})
report = Report(frame)
%%kale step change
frame.loc[frame["g"] == "a", "v"] = 7
%%kale step show
print("RESULT", report.total())
""",
        "{'a': 7, 'b': 2}",
        cold=True,
    ),
    Case(
        "a list in a cell of a frame",
        """
%%kale imports
import pandas as pd
%%kale step load
tags = ["new"]
frame = pd.DataFrame({"tags": [tags, ["old"]]})
%%kale step change
tags.append("red")
%%kale step show
print("RESULT", frame["tags"].tolist(), frame.at[0, "tags"] is tags)
""",
        "[['new', 'red'], ['old']] True",
        cold=True,
    ),
    Case(
        "a list that comes out of a cell of a frame",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"tags": [["new"], ["old"]]})
%%kale step look
first = frame.loc[0, "tags"]
every = frame["tags"].tolist()
%%kale step change
frame.at[0, "tags"].append("red")
frame["tags"].iloc[1].append("blue")
%%kale step show
print("RESULT", first, every, frame["tags"].tolist())
""",
        "['new', 'red'] [['new', 'red'], ['old', 'blue']] [['new', 'red'], ['old', 'blue']]",
        cold=True,
    ),
    Case(
        "lists in a column, in a loop and in an apply",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"tags": [[1], [2]]})
copied = frame.copy()
%%kale step change
for tags in frame["tags"]:
    tags.append(3)
frame["tags"].apply(lambda tags: tags.append(4))
%%kale step show
print("RESULT", frame["tags"].tolist(), copied["tags"].tolist())
""",
        "[[1, 3, 4], [2, 3, 4]] [[1, 3, 4], [2, 3, 4]]",
        cold=True,
    ),
    Case(
        "dictionaries and objects in a series",
        """
%%kale imports
import pandas as pd
%%kale functions
class Item:
    def __init__(self, n):
        self.n = n
%%kale step load
item = Item(1)
things = pd.Series([{"n": 1}, item], index=["d", "o"])
%%kale step change
things["d"]["n"] = 2
things.loc["o"].n = 3
%%kale step show
print("RESULT", things["d"], item.n)
""",
        "{'n': 2} 3",
        cold=True,
    ),
    Case(
        "lists in an array of objects",
        """
%%kale imports
import numpy as np
%%kale step load
one = [1]
box = np.empty(2, dtype=object)
box[:] = [one, [2]]
%%kale step change
one.append(5)
box[1].append(6)
%%kale step show
print("RESULT", box.tolist(), box[0] is one)
""",
        "[[1, 5], [2, 6]] True",
        cold=True,
    ),
    Case(
        "notes that a frame carries",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"v": [1]})
frame.attrs["source"] = ["file"]
%%kale step change
frame.attrs["source"].append("web")
frame.attrs["checked"] = True
%%kale step show
print("RESULT", frame.attrs)
""",
        "{'source': ['file', 'web'], 'checked': True}",
        cold=True,
    ),
    Case(
        "an index that gets a name while its frame holds it",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"v": [1, 2]}, index=["a", "b"])
keys = frame.index
%%kale step change
keys.name = "id"
%%kale step show
print("RESULT", frame.index.name, frame.reset_index().columns.tolist())
""",
        "id ['id', 'v']",
        cold=True,
    ),
    Case(
        "an index that changes places in its frame",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"v": [1, 2]})
old = frame.index
%%kale step change
frame.index = ["x", "y"]
frame.index.name = "id"
%%kale step show
print("RESULT", frame.index.tolist(), frame.index.name, old.tolist(), old.name)
""",
        "['x', 'y'] id [0, 1] None",
        cold=True,
    ),
    Case(
        "the name of a frame's columns",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"v": [1], "w": [2]})
%%kale step change
frame.columns.name = "field"
frame.columns = frame.columns.str.upper()
%%kale step show
print("RESULT", frame.columns.tolist(), frame.columns.name)
""",
        "['V', 'W'] field",
        cold=True,
    ),
    Case(
        "a series over the memory of an array",
        """
%%kale imports
import numpy as np
import pandas as pd
%%kale step load
values = np.arange(3.0)
series = pd.Series(values, copy=False)
%%kale step change
values[0] = 5
%%kale step show
print("RESULT", series.tolist())
""",
        "[5.0, 1.0, 2.0]",
        cold=True,
    ),
    Case(
        "an array that changes through a series over its memory",
        """
%%kale imports
import numpy as np
import pandas as pd
%%kale step load
values = np.arange(3.0)
%%kale step wrap
frame = pd.DataFrame(values.reshape(-1, 1), columns=["v"], copy=False)
%%kale step change
values *= 2
%%kale step show
print("RESULT", frame["v"].tolist())
""",
        "[0.0, 2.0, 4.0]",
        cold=True,
    ),
    Case(
        "a frame that is kept sorted in place, and a sorted copy",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"v": [2, 1]})
same = frame
%%kale step copy
ordered = frame.sort_values("v")
%%kale step change
frame.sort_values("v", inplace=True, ignore_index=True)
frame.eval("w = v * 2", inplace=True)
%%kale step show
print("RESULT", same.to_dict("list"), ordered.index.tolist(), same is frame)
""",
        "{'v': [1, 2], 'w': [2, 4]} [1, 0] True",
        cold=True,
    ),
    Case(
        "copies of a frame do not follow it",
        """
%%kale imports
import pandas as pd
%%kale step load
frame = pd.DataFrame({"v": [1, 2, 3]})
%%kale step cut
some, copied = frame[frame["v"] > 1], frame.copy()
%%kale step change
frame["v"] = 0
%%kale step show
print("RESULT", some["v"].tolist(), copied["v"].tolist(), frame["v"].tolist())
""",
        "[2, 3] [1, 2, 3] [0, 0, 0]",
        takes={"change": "frame"},
        cold=True,
    ),
]
