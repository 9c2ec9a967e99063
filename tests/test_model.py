"""The model of a pipeline: its tree, its graph, and the identities of tasks."""

from __future__ import annotations

from graphlib import CycleError
from itertools import pairwise

import pytest

from kale_magics.model.graph import Graph
from kale_magics.model.pipeline import Conditional, Finally, Input, Loop, Output, Pipeline, Step
from kale_magics.model.task_id import TaskId

ITEMS, FLAG = Output(("items",), "out_items", "Parameter"), Output(("flag",), "out_flag", "Parameter")

TEST = Input(("flag",), "in_flag", "fit", FLAG)


def step(name: str, *upstream: str) -> Step:
    return Step(name, name, (), (), after=upstream)


TREE = Pipeline(
    "tree",
    (
        step("load"),
        Loop(
            "folds",
            Input(("items",), "in_items", "load", ITEMS),
            "fold",
            (
                step("fit"),
                Conditional(
                    "good", Input(("flag",), "in_flag", "fit", FLAG), (step("keep"),), (step("drop"),)
                ),
            ),
        ),
        step("gather", "keep"),
        Finally((step("report"),)),
    ),
)


def test_the_steps_of_a_tree_are_in_its_order() -> None:
    assert [one.name for one in TREE.steps] == ["load", "fit", "keep", "drop", "gather", "report"]
    assert TREE.step("drop").name == "drop"


def test_a_step_depends_on_the_list_of_its_loop_and_on_the_condition_of_its_branch() -> None:
    assert TREE.graph.upstream == {
        "load": (),
        "fit": ("load",),
        "keep": ("load", "fit"),
        "drop": ("load", "fit"),
        "gather": ("keep",),
        "report": ("load", "fit", "keep", "drop", "gather"),
    }


def test_a_part_of_a_tree_keeps_the_nodes_around_its_steps() -> None:
    part = TREE.until(["keep"])
    assert [one.name for one in part.steps] == ["load", "fit", "keep"]
    loop = part.nodes[1]
    assert isinstance(loop, Loop)
    branch = loop.nodes[1]
    assert isinstance(branch, Conditional)
    assert (len(branch.nodes), branch.otherwise) == (1, ())
    assert [type(node) for node in TREE.only(["drop"]).nodes] == [Loop]
    with pytest.raises(KeyError):
        TREE.until(["nothing"])


GRAPH = Graph({"d": ["b", "c"], "b": ["a"], "c": ["a", "elsewhere"], "a": [], "e": []})


def test_the_order_follows_the_edges_and_then_the_keys() -> None:
    assert GRAPH.order() == ["a", "b", "c", "d", "e"]
    assert GRAPH.depths() == {"a": 0, "b": 1, "c": 1, "d": 2, "e": 0}


def test_ancestors_and_descendants() -> None:
    assert GRAPH.all_ancestors()["d"] == {"a", "b", "c"}
    assert GRAPH.descendants("a") == ["b", "c", "d"]
    assert GRAPH.with_ancestors(["c", "e"]) == {"a", "c", "e"}


def test_a_cycle_is_found_in_the_direction_of_its_edges() -> None:
    assert GRAPH.cycle() == []
    ring = Graph({"a": ["c"], "b": ["a"], "c": ["b"], "below": ["c"], "aside": []})
    first, *_, last = found = ring.cycle()
    assert first == last
    assert all(one in ring.upstream[other] for one, other in pairwise(found))
    with pytest.raises(CycleError):
        ring.order()
    assert ring.all_ancestors()["aside"] == set()


def test_a_long_chain_needs_no_deep_stack() -> None:
    chain = Graph({n: [n - 1] for n in range(20_000)})
    assert chain.order() == list(range(20_000))
    assert len(chain.with_ancestors([9_999])) == 10_000
    assert len(chain.descendants(9_999)) == 10_000


def test_a_task_is_named_by_its_step_and_its_items() -> None:
    assert [str(TaskId("fit")), str(TaskId("fit", (2, 0)))] == ["fit", "fit[2][0]"]
    assert [TaskId("fit").folder("key"), TaskId("fit", (2, 0)).folder("key")] == ["key", "key/item-2/item-0"]
