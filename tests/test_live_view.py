"""The picture of a run that goes on, and the pictures of pipelines with many steps."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kale_magics.execution import events
from kale_magics.execution import run as running
from kale_magics.execution.folder_source import FolderSource
from kale_magics.model.pipeline import Parameter, Pipeline
from kale_magics.model.task_id import TaskId
from kale_magics.view import LiveView, svg, tree
from kale_magics.view.collapse import MAX_BOXES, collapse
from tests.test_view import DIAMOND, LOOSE, NASTY, Flow, chain, fan, pipeline, titles

SVG = "{http://www.w3.org/2000/svg}"


def loose(size: int) -> Pipeline:
    return pipeline(*((f"job{i}", {}, ()) for i in range(size)))


def tangle(size: int, most: int = 3, seed: int = 7) -> Pipeline:
    """Every step has inputs from up to `most` earlier ones."""
    dice = random.Random(seed)
    sources = [dice.sample(range(i), min(i, dice.randint(1, most))) for i in range(size)]
    return pipeline(*((f"s{i}", {f"s{j}": [f"v{j}"] for j in found}, ()) for i, found in enumerate(sources)))


def search(size: int) -> Pipeline:
    """Many fits, each with a score that needs something else too."""
    flows: list[Flow] = [("load", {}, ()), ("plot", {"load": ["X"]}, ())]
    for i in range(size):
        flows.append((f"fit{i}", {"load": ["X"]}, ()))
        flows.append((f"score{i}", {"load": ["X_test"], f"fit{i}": [f"m{i}"]}, ()))
    return pipeline(*flows, ("best", {f"score{i}": [f"auc{i}"] for i in range(size)}, ()))


MANY = [chain(200), fan(200), loose(1000), tangle(300), tangle(1000, most=6), search(150)]


def boxes(graph: Pipeline) -> list[str]:
    return [group.name for group in collapse(graph).groups]


@pytest.mark.parametrize("graph", MANY)
def test_of_many_steps_every_one_is_in_one_of_few_boxes(graph: Pipeline) -> None:
    groups = collapse(graph).groups
    assert 0 < len(groups) <= MAX_BOXES
    drawn = [step.name for group in groups for step in group.steps]
    assert sorted(drawn) == sorted(step.name for step in graph.steps)


@pytest.mark.parametrize("graph", [*MANY, DIAMOND, LOOSE, chain(60), tangle(60)])
def test_boxes_are_in_topological_order_and_every_edge_is_in_one_line(graph: Pipeline) -> None:
    drawn = collapse(graph)
    place = {step.name: number for number, group in enumerate(drawn.groups) for step in group.steps}
    between = {(n, s.name) for s in graph.steps for n in s.upstream if place[n] != place[s.name]}
    assert all(place[source] < place[target] for source, target in between)
    edges = [(edge.source, edge.target) for group in drawn.edge_groups for edge in group.edges]
    assert sorted(edges) == sorted(between)
    ends = [(group.source.key, group.target.key) for group in drawn.edge_groups]
    assert len(ends) == len(set(ends))


@pytest.mark.parametrize("graph", [chain(60), fan(58), loose(60), tangle(60), DIAMOND, NASTY])
def test_sixty_steps_have_a_box_each_in_the_order_of_the_pipeline(graph: Pipeline) -> None:
    assert boxes(graph) == [step.name for step in graph.steps]


def test_steps_that_play_the_same_part_are_one_box() -> None:
    assert boxes(fan(200)) == ["load", "fit0 … fit199 (200 steps)", "join"]
    assert boxes(loose(1000)) == ["job0 … job999 (1000 steps)"]
    fits, scores = "fit0 … fit149 (150 steps)", "score0 … score149 (150 steps)"
    assert boxes(search(150)) == ["load", "plot", fits, scores, "best"]


def test_a_long_line_is_cut_in_pieces_that_are_as_short_as_they_may_be() -> None:
    sizes = [len(group.steps) for group in collapse(chain(200)).groups]
    assert sizes == [4] * 50


def test_no_more_is_merged_than_has_to_be() -> None:
    fits: list[Flow] = [(f"fit{i}", {"s0": ["X"]}, ()) for i in range(25)]
    line: list[Flow] = [(f"s{i}", {f"s{i - 1}": ["x"]} if i else {}, ()) for i in range(40)]
    names = boxes(pipeline(*line, *fits))
    assert names == [*(f"s{i}" for i in range(40)), "fit0 … fit24 (25 steps)"]


def test_a_tangle_is_drawn_with_few_lines() -> None:
    assert len(collapse(tangle(1000, most=6)).edge_groups) <= 2 * MAX_BOXES


@pytest.mark.parametrize("graph", MANY)
def test_a_picture_of_many_steps_is_no_larger_than_one_of_few(graph: Pipeline) -> None:
    assert len(svg(graph)) < 300_000


def test_titles_of_merged_boxes_and_lines_list_what_is_in_them_up_to_a_limit() -> None:
    found = titles(svg(fan(200)))
    (box,) = [title for title in found if title.startswith("fit0 … fit199 (200 steps)\n")]
    assert "fit0, fit1, fit2" in box
    assert box.endswith("fit39 +160 more")
    (line, *_) = [title for title in found if title.startswith("fit0 … fit199 (200 steps) → join\n")]
    variables = line.splitlines()[1:]
    assert variables[0] == "m0: DataFrame 426 x 30, 100 KB"
    assert [len(variables), variables[-1]] == [13, "+188 more"]
    # an input of all of them is there once
    assert "load → fit0 … fit199 (200 steps)\nX: DataFrame 426 x 30, 100 KB" in found


class Play:
    """A run that a test plays, with the clock in its hand."""

    def __init__(self, graph: Pipeline, **parameters: int) -> None:
        self.now = 1000.0
        names = [step.name for step in graph.steps]
        source = FolderSource()
        tasks = [running.TaskRun(TaskId(name), Path("steps") / name, {}, source) for name in names]
        self.run = running.Run("demo", Path("runs") / "1", parameters, tasks, source)
        self.view = LiveView(graph, lambda: self.now)

    def begin(self) -> bool:
        return self.view.handle(events.RunStarted(self.run))

    def start(self, step: str) -> bool:
        self.run.steps[step].state = "running"
        return self.view.handle(events.TaskStarted(TaskId(step)))

    def end(self, step: str, state: running.TaskState, seconds: float | None, cached: bool = False) -> bool:
        ended = self.run.steps[step]
        ended.state, ended.seconds, ended.cached = state, seconds, cached
        return self.view.handle(events.TaskEnded(TaskId(step), state, seconds, cached))

    def tick(self, seconds: float) -> bool:
        self.now += seconds
        return self.view.handle(events.Ticked())

    def finish(self, state: running.RunState, seconds: float) -> bool:
        self.run.state, self.run.seconds = state, seconds
        return self.view.handle(events.RunEnded(state, seconds))

    @property
    def picture(self) -> str:
        bundle = self.view._repr_mimebundle_()
        return bundle.get("image/svg+xml") or bundle["text/html"]

    @property
    def text(self) -> list[str]:
        return self.view._repr_mimebundle_()["text/plain"].splitlines()

    def seen(self) -> list[str]:
        """The texts of the picture without titles."""
        found = []
        for text in ElementTree.fromstring(self.picture).iter(f"{SVG}text"):
            for title in text.findall(f"{SVG}title"):
                text.remove(title)
            found.append("".join(text.itertext()))
        return found

    def title(self, step: str) -> list[str]:
        (found,) = [t for t in titles(self.picture) if t.startswith(f"{step}:")]
        return found.splitlines()


def play(graph: Pipeline = DIAMOND, **parameters: int) -> Play:
    played = Play(graph, **parameters)
    assert played.begin()
    return played


def test_the_picture_shows_states_times_and_how_many_steps_are_done() -> None:
    played = play()
    assert "… waiting" not in played.seen()  # the run itself does not wait
    assert played.seen().count("waiting") == 4
    played.end("load", "succeeded", 0.01, cached=True)
    played.start("forest")
    assert played.tick(12.9)
    assert {"cached", "12 s", "waiting", "▸ running, 1 of 4 steps, 12 s"} <= set(played.seen())
    assert played.title("load")[0] == "load: succeeded, cached"
    assert played.title("forest")[0] == "forest: running, 12 s"
    played.run.steps["forest"].error = running.TaskError("ValueError", "no\nrows", cell="In [5]", line=3)
    played.end("forest", "failed", 13.04)
    played.end("svm", "skipped", None)
    played.end("compare", "skipped", None)
    played.finish("failed", 125.0)
    assert {"cached", "13.0 s", "skipped", "✗ failed, 1 of 4 steps, 2 min 05 s"} <= set(played.seen())
    assert played.title("forest")[:2] == [
        "forest: failed, 13.0 s",
        "error: ValueError: no rows (In [5], line 3)",
    ]


def test_a_failed_step_has_the_thickest_line() -> None:
    played = play()
    played.end("load", "succeeded", 1.0)
    played.end("forest", "failed", 1.0)
    played.finish("failed", 2.0)
    strokes = {
        group.findtext(f"{SVG}title", "").split(":")[0]: float(box.attrib["stroke-width"])
        for group in ElementTree.fromstring(played.picture).iter(f"{SVG}g")
        if (box := group.find(f"{SVG}rect")) is not None and "stroke" in box.attrib
    }
    assert strokes["forest"] > 1.5 * max(width for name, width in strokes.items() if name != "forest")


def test_the_picture_keeps_its_places_while_its_words_change() -> None:
    def places(picture: str) -> list[tuple[str | None, ...]]:
        root = ElementTree.fromstring(picture)
        size = root.get("width"), root.get("height")
        return [size, *((r.get("x"), r.get("y"), r.get("width")) for r in root.iter(f"{SVG}rect"))]

    played = play()
    before = places(played.picture)
    played.start("load")
    played.tick(3599)
    assert "59 min 59 s" in played.seen()
    assert places(played.picture) == before


@pytest.mark.parametrize("metrics", [("a",), ("auc", "accuracy"), ("a_very_long_name_of_a_metric", "rows")])
def test_the_longest_time_has_room_beside_the_metrics(metrics: tuple[str, ...]) -> None:
    graph = pipeline(("s", {}, ()))
    played = play(replace(graph, nodes=(replace(graph.steps[0], metrics=metrics),)))
    played.start("s")
    played.tick(3599)
    root = ElementTree.fromstring(played.picture)
    texts = {t.get("text-anchor"): t for t in root.iter(f"{SVG}text")}
    names, note = texts["start"], texts["end"]
    assert note.text == "59 min 59 s"
    # 6.7 pixels are the most that a character takes
    assert float(names.attrib["x"]) + 6.7 * len(names.text or "") < float(note.attrib["x"]) - 6.7 * 11


def test_the_run_is_shown_with_the_values_that_it_has() -> None:
    played = play(n_trees=50)
    assert "n_trees = 50" in played.seen()
    assert "parameter: n_trees = 50" in "\n".join(titles(played.picture))
    assert "200" not in "".join(played.seen())


def test_steps_may_have_inputs_from_steps_that_are_not_in_the_pipeline() -> None:
    played = play(DIAMOND.only(["svm", "compare"]))
    assert "▸ running, 0 of 2 steps, 0 s" in played.seen()
    found = titles(played.picture)
    assert [title.split("\n")[0] for title in found if "→" in title] == ["svm → compare"] * 2  # line and name
    assert "input: rf from forest (DataFrame 426 x 30, 100 KB)" in played.title("compare")
    assert "compare  rf from forest (100 KB); sv from svm" in tree(DIAMOND.only(["svm", "compare"]))


def test_a_parameter_may_be_a_list() -> None:
    sizes = Parameter("sizes", "sizes", "list", [1, 2])
    played = play(pipeline(("a", {}, ()), ("b", {"a": ["x"]}, ()), parameters=(sizes,)))
    assert "sizes = [1, 2]" in played.seen()


def test_a_burst_makes_one_picture_and_the_next_tick_shows_the_rest() -> None:
    played = play(fan(30))
    shown = [played.end("load", "succeeded", 0.1, cached=True)]
    shown += [played.start(f"fit{i}") for i in range(20)]
    assert shown == [False] * 21
    assert "cached" not in played.seen()
    assert played.tick(0.5)
    assert {"cached", "0 s"} <= set(played.seen())


def test_there_are_at_most_two_pictures_a_second() -> None:
    played = play(chain(50))
    shown = 0
    for i in range(50):
        played.now += 0.0625
        shown += played.end(f"s{i}", "succeeded", 0.0625)
    assert shown == 6  # in three seconds and an eighth


def test_what_happens_after_a_quiet_time_is_shown_at_once() -> None:
    played = play()
    played.now += 0.6
    assert played.start("load")
    played.now += 0.6
    assert played.end("load", "succeeded", 0.6)


def test_an_unchanged_picture_is_not_shown_again() -> None:
    played = play()
    played.start("load")
    assert played.tick(0.5)  # it shows the start
    assert [played.tick(0.5) for _ in range(6)] == [True, False] * 3  # whole seconds
    before = played.picture
    assert not played.tick(0.4)
    assert not played.view.handle(events.LinePrinted(TaskId("load"), "stdout", "569 rows"))
    assert played.picture == before


def test_the_end_is_shown_at_once_and_once() -> None:
    played = play(chain(1))
    played.end("s0", "succeeded", 0.02)
    assert played.finish("succeeded", 0.03)
    assert "✓ succeeded, 1 of 1 step, 0.03 s" in played.seen()
    assert not played.view.close()
    assert played.text[-2:] == ["s0 | ✓ succeeded in 0.02 s", "✓ run succeeded in 0.03 s"]


def test_a_run_that_was_cancelled_is_shown_when_the_view_is_closed() -> None:
    played = play()
    played.start("load")
    played.run.steps["load"].seconds = 3.2
    for step in played.run.steps.values():
        step.state = "cancelled"
    played.run.state, played.run.seconds = "cancelled", 3.4
    assert played.view.close()
    assert {"3.2 s", "cancelled", "■ cancelled, 0 of 4 steps, 3.4 s"} <= set(played.seen())
    assert played.text[-1].startswith("■ run cancelled in 3.4 s")


def test_a_view_whose_run_never_began_waits() -> None:
    view = LiveView(DIAMOND)
    assert not view.close()
    assert not view.handle(events.Ticked())
    assert "waiting" in view._repr_mimebundle_()["text/html"]


def test_the_final_picture_is_an_image_and_the_updated_one_has_titles() -> None:
    played = play(chain(1))
    assert set(played.view._repr_mimebundle_()) == {"text/html", "text/plain"}
    played.end("s0", "succeeded", 0.02)
    played.finish("succeeded", 0.03)
    assert set(played.view._repr_mimebundle_()) == {"image/svg+xml", "text/plain"}


def test_the_text_has_starts_and_ends_but_not_what_steps_print() -> None:
    played = play(chain(2))
    played.start("s0")
    played.view.handle(events.LinePrinted(TaskId("s0"), "stdout", "569 rows"))
    played.end("s0", "succeeded", 1.5)
    played.end("s1", "succeeded", 0.1, cached=True)
    played.finish("succeeded", 1.7)
    assert played.text == [
        "demo: 2 steps",
        "s0 | ▸ running",
        "s0 | ✓ succeeded in 1.5 s",
        "s1 | ✓ succeeded, cached",
        "✓ run succeeded in 1.7 s",
    ]


def merged(states: Iterable[running.TaskState]) -> tuple[str, list[str]]:
    """The second line, and the title, of the box that stands for the fits of a fan."""
    played = play(fan(100))
    for number, state in enumerate(states):
        played.run.steps[f"fit{number}"].state = state
    played.tick(1)
    (note,) = [text for text in played.seen() if text.endswith("of 100 steps")]
    return note, played.title("fit0 … fit99 (100 steps)")


def test_a_merged_box_counts_steps_and_shows_the_state_that_matters_most() -> None:
    assert merged(["succeeded"] * 12) == (
        "12 of 100 steps",
        [
            "fit0 … fit99 (100 steps): waiting",
            "waiting: " + ", ".join(f"fit{i}" for i in range(12, 52)) + " +48 more",
            "succeeded: " + ", ".join(f"fit{i}" for i in range(12)),
        ],
    )
    assert merged(["succeeded", "running"])[1][:2] == ["fit0 … fit99 (100 steps): running", "running: fit1"]
    assert merged(["running", "failed"])[1][:2] == ["fit0 … fit99 (100 steps): failed", "failed: fit1"]
    assert merged(["succeeded"] * 100)[1][0] == "fit0 … fit99 (100 steps): succeeded"


@pytest.mark.parametrize("graph", [DIAMOND, NASTY, fan(200)])
def test_a_picture_of_a_run_has_nothing_that_a_sanitiser_removes(graph: Pipeline) -> None:
    played = play(graph)
    played.end(graph.steps[0].name, "failed", 1.0)
    played.finish("failed", 1.0)
    for element in ElementTree.fromstring(played.picture).iter():
        assert element.tag.removeprefix(SVG) in {
            "svg",
            "g",
            "rect",
            "path",
            "circle",
            "text",
            "tspan",
            "title",
        }
        assert not {"style", "class", "id", "href"} & set(element.attrib)
    assert played.picture == played.picture
