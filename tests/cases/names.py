"""Names: whatever Python takes works, and is shown as it was typed."""

from tests.cases import Case

LONG = "a_name_that_goes_on_" * 8

CASES = [
    Case(
        "names that differ in case",
        """
%%kale step a
X, x = [1], "low"
%%kale step b
Y, y = X + [2], x.upper()
%%kale step c
print("RESULT", X, x, Y, y)
""",
        "[1] low [1, 2] LOW",
    ),
    Case(
        "steps that differ in case or in a hyphen",
        """
%%kale step train
a = 1
%%kale step Train
b = a + 1
%%kale step train-model --after Train
c = b + 1
%%kale step train_model --after train-model
d = c + 1
%%kale step TRAIN
print("RESULT", a, b, c, d)
""",
        "1 2 3 4",
    ),
    Case(
        "names beyond ASCII",
        """
%%kale parameters
größe = 2
%%kale step données
π, 名 = größe * 1.5, "名前"
%%kale step Straße --after données
ſum = π + 1
%%kale step z
print("RESULT", π, ascii(名), sum, größe)
""",
        r"3.0 '\u540d\u524d' 4.0 2",
    ),
    Case(
        "two spellings of one name",
        """
%%kale step a
ﬁle = 1
𝐱 = 2
%%kale step b
x += file
%%kale step c
print("RESULT", file, 𝐱)
""",
        "1 3",
    ),
    Case(
        "underscores",
        """
%%kale step a
_x, __y, z_, __w__, _1 = 1, 2, 3, 4, 5
%%kale step b
_x += __y
_ = "kept"
%%kale step c
print("RESULT", _x, __y, z_, __w__, _1)
""",
        "3 2 3 4 5",
    ),
    Case(
        "names of KFP",
        """
%%kale parameters
component = 5
%%kale step a
Input, Output, Dataset, Model, Artifact, Metrics = range(6)
dsl, kfp, executor_input, pipeline = "d", "k", "e", "p"
%%kale step b
Output += Input + component
%%kale step c
print("RESULT", Input, Output, Dataset, Model, Artifact, Metrics, dsl, kfp, executor_input, pipeline)
""",
        "0 6 2 3 4 5 d k e p",
    ),
    Case(
        "names that a step's program uses itself",
        """
%%kale parameters
arguments = 1
step = "s"
%%kale step spec
runtime, spec, run_step, setup, cells, inputs = 1, 2, 3, 4, 5, 6
ast, base64, zlib, json, sys, os = "ast", "b", "z", "j", "s", "o"
%%kale step runtime
cells += arguments
%%kale step c
print("RESULT", runtime, spec, run_step, setup, cells, inputs, ast, base64, zlib, json, sys, os, step)
""",
        "1 2 3 4 6 6 ast b z j s o s",
    ),
    Case(
        "names of builtins",
        """
%%kale parameters
max = 3
type = "t"
%%kale step a
locals, exec, compile, globals, open, dict = range(6)
%%kale step b
open += max
%%kale step c
print("RESULT", locals, exec, compile, globals, open, dict, type)
""",
        "0 1 2 3 7 5 t",
    ),
    Case(
        "words that are nearly keywords",
        """
%%kale parameters
match = 1
case = 2
%%kale step a
true, none, async_, self, cls, lambda_ = 1, 2, 3, 4, 5, 6
%%kale step b
match, case = case, match
%%kale step c
print("RESULT", match, case, true, none, async_, self, cls, lambda_)
""",
        "2 1 1 2 3 4 5 6",
    ),
    Case(
        "a variable that is called like its step",
        """
%%kale step train
train = [1]
%%kale step test
test = train + [2]
%%kale step show
show = test
print("RESULT", train, show)
""",
        "[1] [1, 2]",
    ),
    Case(
        "a variable that is called like another step or input",
        """
%%kale parameters
load = 1
%%kale step clean
in_x, out_x, x, x_2, metrics, output = 1, 2, 3, 4, 5, 6
%%kale step load
X, X_2 = x + load, x_2
%%kale step end
print("RESULT", in_x, out_x, x, x_2, X, X_2, metrics, output)
""",
        "1 2 3 4 4 4 5 6",
    ),
    Case(
        "steps called like keywords, builtins and numbers",
        """
%%kale step import
a = 1
%%kale step print
b = a + 1
%%kale step 2nd
c = b + 1
%%kale step Output --after 2nd
d = c + 1
%%kale step None
print("RESULT", a, b, c, d)
""",
        "1 2 3 4",
    ),
    Case(
        "steps called by several words",
        """
%%kale step "Load the data"
rows = [3]
%%kale step 'Train model 2' --after "Load the data"
model = sum(rows)
%%kale step "show: é/☃ (50%)" --after 'Train model 2'
print("RESULT", rows, model)
""",
        "[3] 3",
    ),
    Case(
        "names that go on and on",
        f"""
%%kale parameters
{LONG}p = 1
%%kale step {LONG}s
{LONG}x = {LONG}p + 1
%%kale step {LONG}t
{LONG}y = {LONG}x + 1
%%kale step end
print("RESULT", {LONG}x, {LONG}y)
""",
        "2 3",
    ),
    Case(
        "parameters with odd names",
        """
%%kale parameters
_p = 1
Output = 2
output = 3
self = 4
é = "e"
class_ = 5
%%kale step a
total = _p + Output + output + self + class_
%%kale step b
print("RESULT", total, ascii(é), self)
""",
        "25 'e' 14".replace("'e'", "'e'"),
        given={"_p": 1, "self": 14},
    ),
]
