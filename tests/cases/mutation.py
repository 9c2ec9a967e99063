"""Changing an object is a write, however it is done."""

from tests.cases import Case

CASES = [
    Case(
        "methods of lists",
        """
%%kale step a
xs = [5]
%%kale step b
xs.append(2)
xs.extend([9, 7])
%%kale step c
xs.sort()
xs.pop()
%%kale step d
xs.insert(0, "first")
xs.reverse()
%%kale step e
print("RESULT", xs)
""",
        "[7, 5, 2, 'first']",
    ),
    Case(
        "slices of lists",
        """
%%kale step a
xs = list(range(6))
%%kale step b
xs[1:3] = ["x"]
%%kale step c
del xs[-2:]
xs[0] += 10
%%kale step d
print("RESULT", xs)
""",
        "[10, 'x', 3]",
    ),
    Case(
        "dictionaries",
        """
%%kale step a
d = {"a": {"b": [1]}, "old": 0}
%%kale step b
d["a"]["b"].append(2)
d["new"] = 3
%%kale step c
del d["old"]
d.setdefault("list", []).append(4)
%%kale step d
d.update(new=5)
d |= {"z": 6}
%%kale step e
print("RESULT", d)
""",
        "{'a': {'b': [1, 2]}, 'new': 5, 'list': [4], 'z': 6}",
    ),
    Case(
        "sets, counters, deques and byte arrays",
        """
%%kale imports
from collections import Counter, defaultdict, deque
%%kale step a
names, counts, groups, queue, raw = {"a"}, Counter("aab"), defaultdict(list), deque(maxlen=2), bytearray(b"ab")
%%kale step b
names.add("b")
counts["a"] += 1
groups["x"].append(1)
queue.extend([1, 2, 3])
raw.extend(b"cd")
%%kale step c
counts.update("bb")
names.discard("a")
raw[0] = 65
print("RESULT", names, dict(counts), dict(groups), list(queue), bytes(raw))
""",
        "{'b'} {'a': 3, 'b': 3} {'x': [1]} [2, 3] b'Abcd'",
    ),
    Case(
        "looking into a default dictionary changes it",
        """
%%kale imports
from collections import defaultdict
%%kale step a
groups = defaultdict(int)
%%kale step b
missing = groups["asked for"]
%%kale step c
print("RESULT", missing, dict(groups))
""",
        "0 {'asked for': 0}",
    ),
    Case(
        "another name for the object",
        """
%%kale step a
xs = [1]
%%kale step b
ys = xs
ys.append(2)
%%kale step c
print("RESULT", xs, ys)
""",
        "[1, 2] [1, 2]",
    ),
    Case(
        "another name given earlier",
        """
%%kale step a
xs = [1]
ys = xs
%%kale step b
ys.append(2)
%%kale step c
print("RESULT", xs, ys, xs is ys)
""",
        "[1, 2] [1, 2] True",
    ),
    Case(
        "another name given in a step of its own",
        """
%%kale step a
xs = [1]
%%kale step b
ys = xs
%%kale step c
ys.append(2)
%%kale step d
print("RESULT", xs, ys, xs is ys)
""",
        "[1, 2] [1, 2] True",
    ),
    Case(
        "a part under a name of its own",
        """
%%kale step a
rows = [[0], [0]]
first = rows[0]
%%kale step b
first.append(1)
%%kale step c
print("RESULT", rows, first)
""",
        "[[0, 1], [0]] [0, 1]",
    ),
    Case(
        "an object that was put into others",
        """
%%kale step a
tags = ["t"]
record = {"tags": tags}
pair = (record, 1)
%%kale step b
tags.append("u")
%%kale step c
print("RESULT", pair)
""",
        "({'tags': ['t', 'u']}, 1)",
    ),
    Case(
        "an object that was put into one that is there",
        """
%%kale step a
tags, record = ["t"], {}
%%kale step b
record["tags"] = tags
%%kale step c
tags.append("u")
%%kale step d
print("RESULT", record, tags)
""",
        "{'tags': ['t', 'u']} ['t', 'u']",
    ),
    Case(
        "the variable of a loop",
        """
%%kale step a
rows = [{"n": 1}, {"n": 2}]
lists = {"x": [], "y": []}
%%kale step b
for row in rows:
    row["n"] *= 10
for key, items in lists.items():
    items.append(key)
%%kale step c
print("RESULT", rows, lists)
""",
        "[{'n': 10}, {'n': 20}] {'x': ['x'], 'y': ['y']}",
    ),
    Case(
        "a part that a function hands out",
        """
%%kale functions
def part(table, key):
    return table[key]
%%kale step a
table = {"k": [1]}
%%kale step b
part(table, "k").append(2)
%%kale step c
found = part(table, "k")
found.append(3)
%%kale step d
print("RESULT", table)
""",
        "{'k': [1, 2, 3]}",
    ),
    Case(
        "a part that an expression chooses",
        """
%%kale step a
odd, even, flag = [], [], True
%%kale step b
(odd if flag else even).append(1)
[odd, even][1].append(2)
(odd or even)[0] = 7
%%kale step c
print("RESULT", odd, even)
""",
        "[7] [2]",
    ),
    Case(
        "functions that change their argument",
        """
%%kale functions
def grow(items, by=1):
    items.append(by)
def grow_all(*tables, key):
    for table in tables:
        grow(table[key], by=len(table))
%%kale step a
xs, t, u = [0], {"k": []}, {"k": [], "l": 0}
%%kale step b
grow(xs)
grow(by=5, items=xs)
%%kale step c
grow_all(t, u, key="k")
%%kale step d
print("RESULT", xs, t, u)
""",
        "[0, 1, 5] {'k': [1]} {'k': [2], 'l': 0}",
    ),
    Case(
        "a function that changes a global",
        """
%%kale step a
log = []
def note(text):
    log.append(text)
%%kale step b
note("b")
%%kale step c
note("c")
%%kale step d
print("RESULT", log)
""",
        "['b', 'c']",
    ),
    Case(
        "functions of libraries that change their argument",
        """
%%kale imports
import bisect, heapq, operator, random
from random import Random
%%kale step a
heap, ordered, deck, table = [5, 7], [1, 4], list("abc"), {}
%%kale step b
heapq.heappush(heap, 1)
bisect.insort(ordered, 3)
%%kale step c
Random(3).shuffle(deck)
operator.setitem(table, "k", 1)
list.append(ordered, 9)
%%kale step d
print("RESULT", heap, ordered, sorted(deck), deck != list("abc"), table)
""",
        "[1, 7, 5] [1, 3, 4, 9] ['a', 'b', 'c'] True {'k': 1}",
    ),
    Case(
        "a method that is kept",
        """
%%kale step a
xs = []
add = xs.append
%%kale step b
add(1)
list(map(add, [2, 3]))
%%kale step c
print("RESULT", xs)
""",
        "[1, 2, 3]",
    ),
    Case(
        "changes in comprehensions and lambdas",
        """
%%kale step a
xs, ys = [], []
%%kale step b
_ = [xs.append(i) for i in range(3)]
push = lambda value: ys.append(value)
push("y")
%%kale step c
print("RESULT", xs, ys)
""",
        "[0, 1, 2] ['y']",
    ),
    Case(
        "adding in place and adding anew",
        """
%%kale step a
xs = ys = [1]
tup = tup2 = (1,)
%%kale step b
xs += [2]
tup += (2,)
%%kale step c
ys = ys + [3]
%%kale step d
print("RESULT", xs, ys, tup, tup2)
""",
        "[1, 2] [1, 2, 3] (1, 2) (1,)",
    ),
    Case(
        "an iterator that is used up",
        """
%%kale step a
it = iter([1, 2, 3, 4])
%%kale step b
first = next(it)
%%kale step c
second = next(it)
%%kale step d
print("RESULT", first, second, list(it))
""",
        "1 2 [3, 4]",
    ),
    Case(
        "a list in itself",
        """
%%kale step a
xs = [1]
xs.append(xs)
%%kale step b
xs[1].append(2)
%%kale step c
print("RESULT", len(xs), xs[1] is xs, xs[-1])
""",
        "3 True 2",
    ),
    Case(
        "a setting of a module",
        """
%%kale imports
import decimal
%%kale step a
decimal.getcontext().prec = 4
third = decimal.Decimal(1) / 3
%%kale step b
print("RESULT", third)
""",
        "0.3333",
    ),
    Case(
        "an iterator that a sum reads",
        """
%%kale step a
it = iter([1, 2, 3, 4])
%%kale step b
s = sum(it)
%%kale step c
print("RESULT", s, list(it))
""",
        "10 []",
        cold=True,
    ),
    Case(
        "an iterator that is searched and unpacked",
        """
%%kale step a
it = iter([1, 2, 3, 4])
%%kale step b
ok = 2 in it
%%kale step c
a, b = it
%%kale step d
print("RESULT", ok, a, b, list(it))
""",
        "True 3 4 []",
        cold=True,
    ),
    Case(
        "pairs that a dict has read",
        """
%%kale step a
z = zip("ab", [1, 2])
%%kale step b
d = dict(z)
%%kale step c
print("RESULT", d, list(z))
""",
        "{'a': 1, 'b': 2} []",
        cold=True,
    ),
    Case(
        "a text that a library has read",
        """
%%kale imports
import io, json
%%kale step a
f = io.StringIO("[1]")
%%kale step b
df = json.load(f)
%%kale step c
print("RESULT", len(df), repr(f.read()))
""",
        "1 ''",
        cold=True,
    ),
]
