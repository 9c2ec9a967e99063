"""The notebook's own syntax, and source text that is easy to damage."""

from tests.cases import Case

CASES = [
    Case(
        "commands",
        """
%%kale step a
!true
text = "a b"
listing = !printf 'one\\ntwo\\n'
both = !echo {text.upper()} $text {len(text) + 1}
!echo "shown" && \\
  echo "in two lines"
%%kale step b
print("RESULT", list(listing), both[0], listing.n.split())
""",
        "['one', 'two'] A B a b 4 ['one', 'two']",
        takes={"b": "listing both"},
    ),
    Case(
        "a command in a loop and in a function",
        """
%%kale functions
def count(word):
    out = !printf '{word}' | wc -c
    return int(out[0])
%%kale step a
sizes = []
for word in ["a", "bcd"]:
    n = !echo {word}
    sizes.append((n[0], count(word)))
%%kale step b
print("RESULT", sizes, count("four"))
""",
        "[('a', 1), ('bcd', 3)] 4",
    ),
    Case(
        "timing",
        """
%%kale step a
%time x = sum(range(10))
total = %time x + 1
%%kale step b
%%time
y = [x,
     total]
%%kale step c
%timeit -n 1 -r 1 len(y)
print("RESULT", y)
""",
        "[45, 46]",
    ),
    Case(
        "magics that show or plot",
        """
%%kale imports
%matplotlib inline
%load_ext autoreload
%autoreload 2
%config InlineBackend.figure_format = "retina"
import matplotlib.pyplot as plt
%%kale step a
%precision 3
fig, ax = plt.subplots()
ax.plot([1, 4, 9])
plt.show()
top = max(ax.lines[0].get_ydata())
%%kale step b
print("RESULT", top)
""",
        "9",
    ),
    Case(
        "questions about objects",
        """
%%kale step a
x = [1]
x?
?len
x.append??
%pinfo x
%%kale step b
print("RESULT", x)
""",
        "[1]",
    ),
    Case(
        "installing a package",
        """
%%kale imports
%pip install -q cloudpickle
import cloudpickle
%%kale step a
blob = cloudpickle.dumps([1])
%%kale step b
print("RESULT", cloudpickle.loads(blob))
""",
        "[1]",
    ),
    Case(
        "await at the top",
        """
%%kale imports
import asyncio
%%kale step a
async def later(v):
    await asyncio.sleep(0)
    return v
x = await later(5)
if x == 5:
    x += await later(1)
%%kale step b
print("RESULT", x, await later("again"))
""",
        "6 again",
    ),
    Case(
        "a cell for bash",
        """
%%kale step a
n = 3
%%kale step a
%%bash
echo one > made.txt
echo two >> made.txt
%%kale step a
lines = open("made.txt").read().split() * n
%%kale step b
print("RESULT", lines)
""",
        "['one', 'two', 'one', 'two', 'one', 'two']",
    ),
    Case(
        "a cell that writes a module",
        """
%%kale step a
%%writefile little_helper.py
def triple(v):
    return v * 3
%%kale step a
import little_helper
x = little_helper.triple(2)
%%kale step b
print("RESULT", x)
""",
        "6",
    ),
    Case(
        "an imports cell that writes a module",
        """
%%kale imports
%%writefile little_helper.py
NAME = "helper {{x}}"
%%kale imports
from little_helper import NAME
import little_helper as helper
%%kale step a
x = NAME.upper()
%%kale step b
print("RESULT", x, helper.NAME)
""",
        "HELPER {{X}} helper {{x}}",
    ),
    Case(
        "the environment and the folder",
        """
%%kale step a
%env MODE=fast
import os
mode = os.environ["MODE"]
here = %pwd
os.makedirs("sub", exist_ok=True)
%cd -q sub
name = os.path.basename(os.getcwd())
%cd -q ..
same = os.getcwd() == here
%%kale step b
print("RESULT", mode, name, same)
""",
        "fast sub True",
    ),
    Case(
        "the shell as an object",
        """
%%kale step a
ip = get_ipython()
out = get_ipython().getoutput("echo from the shell")
get_ipython().system("true")
%%kale step b
print("RESULT", out[0])
""",
        "from the shell",
    ),
    Case(
        "the exit code of a command",
        """
%%kale step a
!exit 3
code = _exit_code
%%kale step b
print("RESULT", code)
""",
        "3",
    ),
    Case(
        "display and last expressions",
        """
%%kale step a
x = 3
display(x, "text")
x
%%kale step b
y = x;
x + y;
(v for v in [x])
%%kale step c
from IPython.display import display
display(y)
print("RESULT", x, y)
""",
        "3 3",
    ),
    Case(
        "lines of a text that look like magics",
        '''
%%kale step a
script = """
%time sleep 1
!ls -l
what?
%%kale step fake
%kale_run
# %% more
"""
%%kale step b
print("RESULT", len(script.splitlines()), script.count("%"), [c for c in script if c in "!?"])
'''.replace("# %% more", " # %% more").replace("%%kale step fake", " %%kale step fake"),
        "7 6 ['!', '?']",
    ),
    Case(
        "templates in texts",
        r'''
%%kale step a
a = "{{$.inputs.parameters['x']}} {{$}}"
b = "{{inputs.parameters.x}} {{{{x}}}} }}{{"
c = f"{{{{$.outputs}}}} {a[:3]}"
d = {"k": {"l": {1}}}
e = """{% for x in y %}
{{ x | upper }}
{% endfor %}"""
%%kale step b
print("RESULT", [a, b, c, d, e])
''',
        r"""["{{$.inputs.parameters['x']}} {{$}}", '{{inputs.parameters.x}} {{{{x}}}} }}{{', '{{$.outputs}} {{$', """
        r"""{'k': {'l': {1}}}, '{% for x in y %}\n{{ x | upper }}\n{% endfor %}']""",
    ),
    Case(
        "quotes, backslashes and odd characters",
        r'''
%%kale step a
q = 'it\'s' + "\"" + """ '' "" '\'' """ + r'\d\\' + "\\"
w = "tab\t nul\0 bell\a line\
 goes on"
e = "☃ 🚀 é é ‮ \N{SNOWMAN} \x85 \u2028" + b"\xff\\".decode("latin1")
s = "\ud800"
%%kale step b
print("RESULT", ascii([q, w, e, s]))
''',
        r"""['it\'s" \'\' "" \'\'\' \\d\\\\\\', 'tab\t nul\x00 bell\x07 line goes on', """
        r"""'\u2603 \U0001f680 \xe9 e\u0301 \u202e \u2603 \x85 \u2028\xff\\', '\ud800']""".replace(
            "e\\u0301", "\\xe9"
        ),
    ),
    Case(
        "a text over several lines in a block",
        '''
%%kale step a
if True:
    def text():
        return """
    indented
  less
none\\
joined"""
lines = text()
%%kale step b
print("RESULT", repr(lines), text() == lines)
''',
        r"'\n    indented\n  less\nnonejoined' True",
    ),
    Case(
        "comments, semicolons and lines that go on",
        """
%%kale step a

# a comment first
x = 1; y = 2; \\
z = 3
total = (x +  # in the middle
         y
         # alone
         + z)
if x: y = 5
# a comment last
%%kale step b
'''A text as the first statement.'''
print("RESULT", total, y)
""",
        "6 5",
    ),
    Case(
        "the guard for scripts",
        """
%%kale step a
x = 0
if __name__ == "__main__":
    x = 1
%%kale step b
print("RESULT", x, __name__)
""",
        "1 __main__",
    ),
    Case(
        "code from the future",
        """
%%kale imports
from __future__ import annotations
import json
%%kale step a
def f(x: Undefined) -> Nowhere[int]:
    return json.dumps(x)
y: Missing = 1
%%kale step b
print("RESULT", f([y]), f.__annotations__["x"])
""",
        "[1] Undefined",
    ),
    Case(
        "a cell that is far too long for an argument",
        """
%%kale step a
numbers = [
"""
        + "".join(f"    {n * 7919 % 100003}, {n * 104729 % 99991},\n" for n in range(9000))
        + """
]
%%kale step b
print("RESULT", len(numbers), sum(numbers) % 1000)
""",
        "18000 930",
    ),
    Case(
        "the order in which code of the step sees its own text",
        """
%%kale step a
import inspect
def f():
    return 1  # the comment
source = inspect.getsource(f)
%%kale step b
print("RESULT", repr(source))
""",
        r"'def f():\n    return 1  # the comment\n'",
    ),
    Case(
        "a cell whose output is captured",
        """
%%kale step a
%%capture cap
print("hello")
x = 5
%%kale step b
print("RESULT", x, cap.stdout.strip())
""",
        "5 hello",
    ),
    Case(
        "a captured cell with flags and other streams",
        """
%%kale step a
%%capture out --no-stderr
import sys
print("hi")
if True:
    print("no", file=sys.stderr)
# done
%%kale step b
print("RESULT", str(out).strip(), out.outputs, out.stderr == "")
""",
        "hi [] True",
    ),
    Case(
        "what a cell for bash prints, as a variable",
        """
%%kale step a
%%bash --out listing
echo hi
%%kale step b
print("RESULT", listing.strip())
""",
        "hi",
    ),
    Case(
        "what a failing cell for bash prints, as two variables",
        """
%%kale step a
%%bash --out one --err two --no-raise-error
echo hi
echo ho >&2
exit 3
%%kale step b
print("RESULT", one.strip(), two.strip())
""",
        "hi ho",
    ),
    Case(
        "a cell for bash with arguments of its own",
        """
%%kale step a
%%bash -e -s one --out=listing
echo $1 two
%%kale step b
print("RESULT", listing.strip())
""",
        "one two",
    ),
]
