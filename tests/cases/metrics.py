"""Metrics: the numbers that a run is judged by."""

from tests.cases import Case

CASES = [
    Case(
        "metrics by print",
        """
%%kale step a
accuracy = 0.75
%%kale step b
f1 = accuracy / 1.5
print("RESULT", accuracy, f1)
%%kale metrics
print(accuracy)
print(f1)
""",
        "0.75 0.5",
        metrics={"accuracy": 0.75, "f1": 0.5},
    ),
    Case(
        "metrics by their names",
        """
%%kale step a
AUC, loss, n = 0.9, 2, True
print("RESULT", AUC, loss, n)
%%kale pipeline-metrics
AUC
loss
""",
        "0.9 2 True",
        metrics={"AUC": 0.9, "loss": 2},
    ),
    Case(
        "a metric of numpy",
        """
%%kale imports
import numpy as np
%%kale step a
score = np.float32(0.5)
worst = np.array([0.25]).min()
print("RESULT", score + worst)
%%kale metrics
score
worst
""",
        "0.75",
        metrics={"score": 0.5, "worst": 0.25},
    ),
    Case(
        "a metric that a later step rewrites",
        """
%%kale step a
score = 0.1
%%kale step b
score = score + 0.4
%%kale step c
print("RESULT", score)
%%kale metrics
score
""",
        "0.5",
        metrics={"score": 0.5},
    ),
    Case(
        "metrics with names beyond ASCII",
        """
%%kale step a
größe, _rate = 3, 0.5
print("RESULT", größe, _rate)
%%kale metrics
größe
_rate
""",
        "3 0.5",
        metrics={"größe": 3, "_rate": 0.5},
    ),
]
