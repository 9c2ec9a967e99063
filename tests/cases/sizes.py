"""Notebooks that are large in one way or another."""

from tests.cases import Case

LINES = "\n".join(f"x{n} = x{n - 1} + {n}" for n in range(1, 3000))
VARIABLES = "\n".join(f"v{n} = [{n}]" for n in range(150))
CHANGES = "\n".join(f"v{n}.append({n})" for n in range(0, 150, 2))
CHAIN = "\n".join(f"%%kale step s{n}\nxs.append({n})\ny{n} = len(xs)" for n in range(1, 15))

CASES = [
    Case(
        "a cell of three thousand lines",
        f"""
%%kale step a
x0 = 0
{LINES}
%%kale step b
print("RESULT", x2999, x17)
""",
        "4498500 153",
    ),
    Case(
        "a step with a hundred and fifty variables",
        f"""
%%kale step a
{VARIABLES}
%%kale step b
{CHANGES}
%%kale step c
print("RESULT", sum(len({"+".join(f"v{n}" for n in range(150))}) for _ in range(1)))
""",
        "225",
        takes={"c": " ".join(f"v{n}" for n in range(150))},
    ),
    Case(
        "a long chain of steps that change one object",
        f"""
%%kale step s0
xs = []
{CHAIN}
%%kale step z
print("RESULT", len(xs), y14)
""",
        "14 14",
    ),
    Case(
        "a text of a megabyte in a variable",
        """
%%kale step a
text = "naïve {{$.inputs}} \\'\\'\\' " * 40_000
%%kale step b
print("RESULT", len(text), text[:12])
""",
        "920000 naïve {{$.in",
    ),
]
