"""What users see of a pipeline and of a run: the picture, the tree, the table, the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kale_magics.execution import events
from kale_magics.execution import run as running
from kale_magics.execution.folder_source import FolderSource
from kale_magics.model.diagnostics import Code as DiagnosticCode
from kale_magics.model.diagnostics import Diagnostic, Where
from kale_magics.model.pipeline import CodeBlock, Input, Output, Parameter, Pipeline, Step
from kale_magics.model.task_id import TaskId
from kale_magics.view import GraphView, Progress, TableView, cell_rows, diagnostics_text, summary, svg, tree
from kale_magics.view.layout import Link, assign_rows
from kale_magics.view.progress import format_duration
from kale_magics.view.words import columns, human_size, listed, shorten
from tests.marked import marked

Flow = tuple[str, Mapping[str, Iterable[str]], tuple[str, ...]]
N_TREES = Parameter("n_trees", "n_trees", "int", 200)


def pipeline(*flows: Flow, name: str = "demo", parameters: tuple[Parameter, ...] = ()) -> Pipeline:
    """A pipeline of steps given as (name, {source: variables}, after); the last step logs a metric."""
    outputs: dict[str, dict[str, Output]] = {step: {} for step, _, _ in flows}
    for _, inputs, _ in flows:
        for source, variables in inputs.items():
            for v in variables:
                outputs[source][v] = Output((v,), f"out_{v}", "Dataset", "DataFrame 426 x 30", 102_240)
    steps = [
        Step(
            name=step,
            key=f"s{number}",
            setup=(),
            cells=(CodeBlock("", f"step {step}", f"In [{number + 1}]"),),
            parameters=parameters,
            inputs=tuple(Input((v,), f"in_{v}", s, outputs[s][v]) for s, vs in inputs.items() for v in vs),
            outputs=tuple(outputs[step].values()),
            after=after,
            metrics=("auc",) if number == len(flows) - 1 else (),
        )
        for number, (step, inputs, after) in enumerate(flows)
    ]
    return Pipeline(name, tuple(steps), parameters)


def chain(length: int) -> Pipeline:
    return pipeline(*((f"s{i}", {f"s{i - 1}": ["x"]} if i else {}, ()) for i in range(length)))


def fan(branches: int) -> Pipeline:
    fits: list[Flow] = [(f"fit{i}", {"load": ["X"]}, ()) for i in range(branches)]
    return pipeline(("load", {}, ()), *fits, ("join", {f"fit{i}": [f"m{i}"] for i in range(branches)}, ()))


DIAMOND = pipeline(
    ("load", {}, ()),
    ("forest", {"load": ["X", "y"]}, ()),
    ("svm", {"load": ["X", "y"]}, ("forest",)),
    ("compare", {"forest": ["rf"], "svm": ["sv"], "load": ["X_test"]}, ()),
    parameters=(N_TREES,),
)
LOOSE = pipeline(*((f"job{i}", {}, ()) for i in range(4)), ("end", {}, ("job1", "job3")))
NASTY = pipeline(
    ('a<b & "c"', {}, ()), ("größe\x00\n通知", {'a<b & "c"': ["x"]}, ()), name="<script>alert(1)</script>"
)
GRAPHS = [chain(1), chain(12), fan(6), fan(30), DIAMOND, LOOSE, NASTY]


def titles(picture: str) -> list[str]:
    root = ElementTree.fromstring(picture)  # raises if it is not well-formed
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")]


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_step_and_edge_of_the_picture_has_a_title(graph: Pipeline) -> None:
    found = titles(svg(graph))
    for step in graph.steps:
        name = step.name.replace("\x00", "\N{REPLACEMENT CHARACTER}")
        assert any(t == name or t.startswith(f"{name}\n") for t in found)
        for needed in step.upstream:
            assert any(t.startswith(f"{needed} → {name}\n") for t in found)


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_picture_has_nothing_that_a_sanitiser_removes(graph: Pipeline) -> None:
    for element in ElementTree.fromstring(svg(graph)).iter():
        tag = element.tag.removeprefix("{http://www.w3.org/2000/svg}")
        assert tag in {"svg", "g", "rect", "path", "circle", "text", "tspan", "title"}
        assert not {"style", "class", "id", "href"} & set(element.attrib)
        assert "url(" not in "".join(element.attrib.values())


@pytest.mark.parametrize("graph", GRAPHS)
def test_views_are_the_same_every_time(graph: Pipeline) -> None:
    assert svg(graph) == svg(graph)
    assert tree(graph) == tree(graph)


def test_titles_have_the_details_of_edges_and_steps() -> None:
    found = titles(svg(DIAMOND))
    assert "load → forest\nX: DataFrame 426 x 30, 100 KB\ny: DataFrame 426 x 30, 100 KB" in found
    assert "forest → svm\n--after" in found
    (svm,) = [t for t in found if t.startswith("svm\n")]
    assert "cells: In [3]" in svm
    assert "parameter: n_trees = 200" in svm
    assert "input: X from load (DataFrame 426 x 30, 100 KB)" in svm
    assert "output: sv (DataFrame 426 x 30, 100 KB)" in svm
    assert "after: forest" in svm


def test_only_an_edge_from_after_alone_is_dashed() -> None:
    assert "stroke-dasharray" in svg(LOOSE)
    assert "stroke-dasharray" not in svg(fan(3))
    both = pipeline(("a", {}, ()), ("b", {"a": ["x"]}, ("a",)))
    assert "stroke-dasharray" not in svg(both)


def test_a_long_name_is_shortened_and_whole_in_the_title() -> None:
    name = "a step with a name that goes on and on and on"
    picture = svg(pipeline((name, {}, ())))
    assert picture.count(name) == 1
    assert "a step with a name that…" in picture


def test_states_have_symbols_and_words() -> None:
    picture = svg(DIAMOND, {"load": "succeeded", "forest": "failed"})
    assert ">✓<" in picture
    assert ">✗<" in picture
    assert "forest: failed\n" in picture
    assert "✗" in tree(DIAMOND, {"forest": "failed"})


def test_boxes_of_one_row_do_not_overlap_and_lie_below_their_upstream_boxes() -> None:
    names = {f"s{i}": 100.0 for i in range(40)}
    links = [Link("s0", f"s{i}") for i in range(1, 39)] + [Link(f"s{i}", "s39") for i in range(1, 39)]
    placed = assign_rows(names, links)
    assert all(placed[link.source] < placed[link.target] for link in links)
    assert max(list(placed.values()).count(row) for row in placed.values()) <= 8


@pytest.mark.parametrize("graph", [chain(60), fan(58), pipeline(*((f"j{i}", {}, ()) for i in range(60)))])
def test_sixty_steps_are_no_wider_than_a_notebook(graph: Pipeline) -> None:
    assert float(ElementTree.fromstring(svg(graph)).attrib["width"]) < 1000


@pytest.mark.parametrize(("make", "size"), [(chain, 1000), (fan, 998)])
def test_all_of_a_thousand_steps_are_in_the_tree(make: Callable[[int], Pipeline], size: int) -> None:
    graph = make(size)
    written = {word for line in tree(graph).splitlines() for word in line.split()}
    assert {step.name for step in graph.steps} <= written


def test_no_step_at_all_is_drawn_too() -> None:
    assert titles(svg(Pipeline("empty", ()))) == ["Pipeline empty: 0 steps"]
    assert tree(Pipeline("empty", ())).startswith("empty (0 steps)")


def test_the_graph_has_a_picture_for_browsers_and_a_tree_for_terminals() -> None:
    bundle = GraphView(DIAMOND)._repr_mimebundle_()
    assert bundle == {"image/svg+xml": svg(DIAMOND), "text/plain": tree(DIAMOND)}
    assert repr(GraphView(DIAMOND)) == tree(DIAMOND)


@pytest.mark.parametrize("graph", [chain(12), fan(6), fan(30), DIAMOND, LOOSE])
def test_the_tree_has_one_line_for_every_step(graph: Pipeline) -> None:
    lines = [line.split() for line in tree(graph).splitlines()[1:]]
    for step in graph.steps:
        # a step's own name is the first word after its rails
        assert sum(next((w for w in words if w.isalnum()), "") == step.name for words in lines) == 1


def test_the_tree_shows_branches_joins_and_variables() -> None:
    assert tree(DIAMOND).splitlines() == [
        "demo (4 steps)",
        "parameters: n_trees = 200",
        "",
        "●      load",
        "├─●    forest   X, y from load (200 KB)",
        "├─┼─●  svm      X, y from load (200 KB); after forest",
        "●─┴─┘  compare  rf from forest (100 KB); sv from svm (100 KB); X_test from load (100 KB);",
        "                  metrics auc",
    ]


def test_the_tree_keeps_what_does_not_belong_together_apart() -> None:
    assert tree(LOOSE).splitlines()[2:] == [
        "●    job0",
        "",
        "●    job1",
        "│ ●  job2",
        "│",
        "│ ●  job3",
        "●─┘  end   after job1; after job3; metrics auc",
    ]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KB"),
        (3408, "3.3 KB"),
        (102_240, "100 KB"),
        (1024**2 - 1, "1.0 MB"),
        (1_500_000_000, "1.4 GB"),
        (9_000 * 1024**5, "9000 PB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.004, "0.00 s"),
        (0.42, "0.42 s"),
        (0.999, "1.0 s"),
        (12.34, "12.3 s"),
        (59.97, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.8, "1 h 00 min"),
        (7380, "2 h 03 min"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


def test_text_is_cut_by_columns() -> None:
    assert columns("通知") == 4
    assert shorten("通知通知", 5) == "通知…"
    assert shorten("a\nb\tc", 9) == "a b c"
    assert listed(["X_train", "y_train", "weights"], 19) == "X_train, y_train +1"
    assert listed(["X_train", "y_train", "weights"], 18) == "X_train +2"
    assert columns(listed(["x" * 50, "y"], 12)) == 12


CELLS = (
    marked("parameters", "n_trees = 200", count=1),
    marked("step", "a", name="load", count=2),
    marked("step", "b", name="load", count=3, state="failed"),
    marked("step", "c", name="svm", state="not run", run=False),
    marked("metrics", "auc", count=5),
)


def test_rows_have_the_inputs_and_outputs_of_cells() -> None:
    known = cell_rows(CELLS, DIAMOND, {CELLS[1]: "changed since"})
    assert [(r.kind, r.step, r.cell, r.state) for r in known] == [
        ("parameters", "", "In [1]", "ran"),
        ("step", "load", "In [2]", "changed since"),
        ("step", "load", "In [3]", "failed"),
        ("step", "svm", "", "not run"),
        ("metrics", "", "In [5]", "ran"),
    ]
    assert known[0].outputs == ("n_trees = 200 (int)",)
    assert known[1].outputs[0] == "X (DataFrame 426 x 30, 100 KB)"
    assert known[2].outputs == ()  # they are in the row of the step's first cell
    assert known[3].inputs == (
        "X from load (DataFrame 426 x 30, 100 KB)",
        "y from load (DataFrame 426 x 30, 100 KB)",
        "n_trees from the parameters",
        "after forest",
    )
    assert known[4].inputs == ("auc from compare",)


def test_without_a_pipeline_the_table_has_no_inputs_and_outputs() -> None:
    assert all(row.inputs == row.outputs == () for row in cell_rows(CELLS, None))
    head = repr(TableView(cell_rows(CELLS, None))).splitlines()[0]
    assert head.split() == ["kind", "step", "cell", "state"]


def test_the_table_is_aligned() -> None:
    lines = repr(TableView(cell_rows(CELLS, DIAMOND))).splitlines()
    assert lines[0].split() == ["kind", "step", "cell", "state", "inputs", "outputs"]
    state, inputs = lines[0].index("state"), lines[0].index("inputs")
    assert lines[1].startswith("----------  ----")
    assert [line[state:inputs].strip() for line in lines[2:4]] == ["✓ ran", "✓ ran"]
    (svm,) = [number for number, line in enumerate(lines) if "svm" in line]
    assert lines[svm][inputs:].startswith("X from load")
    assert lines[svm + 1][inputs:].startswith("y from load")
    assert not lines[svm + 1][:inputs].strip()


def test_the_html_table_is_escaped_and_well_formed() -> None:
    cells = [marked("step", "", name='a<b & "c"', count=1)]
    html = TableView(cell_rows(cells, NASTY))._repr_mimebundle_()["text/html"]
    root = ElementTree.fromstring(html.replace("<br>", "<br/>"))
    assert [td.text for td in root.iter("td")][:3] == ["step", 'a<b & "c"', "In [1]"]


def test_an_empty_table_says_how_to_begin() -> None:
    bundle = TableView(())._repr_mimebundle_()
    assert "%%kale step" in bundle["text/plain"]
    assert "%%kale step" in bundle["text/html"]


def test_diagnostics_are_counted_and_errors_come_first() -> None:
    warning = Diagnostic(DiagnosticCode.CELL_FAILED, "a cell failed", "run it", severity="warning")
    error = Diagnostic(DiagnosticCode.UNKNOWN_NAME, "no cell makes df", "mark it", Where("In [5]", line=3))
    text = diagnostics_text([warning, error])
    assert text.startswith("1 error, 1 warning\n\nKALE204 no cell makes df\n  at:  In [5], line 3")
    assert text.index("KALE204") < text.index("KALE212")
    assert diagnostics_text([]) == ""


def a_run() -> running.Run:
    names = ("load", "train", "report")
    source = FolderSource()
    tasks = [running.TaskRun(TaskId(name), Path("steps") / name, {}, source) for name in names]
    return running.Run("demo", Path("runs") / "1", {"n_trees": 200}, tasks, source)


def test_progress_gives_every_line_the_name_of_its_step() -> None:
    progress = Progress(["load", "report"])
    given: list[events.Event] = [
        events.RunStarted(a_run()),
        events.TaskStarted(TaskId("load")),
        events.LinePrinted(TaskId("load"), "stdout", "569 rows"),
        events.LinePrinted(TaskId("report"), "stderr", ""),
        events.TaskEnded(TaskId("load"), "succeeded", 0.42),
        events.TaskEnded(TaskId("load"), "succeeded", 0.01, cached=True),
        events.TaskEnded(TaskId("report"), "skipped", None),
        events.RunEnded("failed", 1.0),
    ]
    assert [line for event in given for line in progress.lines(event)] == [
        "demo: 3 steps, n_trees = 200",
        "load   | ▸ running",
        "load   | 569 rows",
        "report |",
        "load   | ✓ succeeded in 0.42 s",
        "load   | ✓ succeeded, cached",
        "report | ○ skipped",
    ]


def printed(progress: Progress, step: str, texts: Iterable[str]) -> list[str]:
    return [
        line for text in texts for line in progress.lines(events.LinePrinted(TaskId(step), "stdout", text))
    ]


def test_of_a_long_output_the_first_and_the_last_lines_are_printed() -> None:
    progress = Progress(["load", "my train"])
    lines = printed(progress, "my train", (f"epoch {i}" for i in range(1240)))
    assert lines[:30] == [f"my train | epoch {i}" for i in range(30)]
    assert lines[30:] == ['my train | … more lines are in the log: %kale_logs "my train"']
    assert printed(progress, "load", ["569 rows"]) == ["load     | 569 rows"]  # every step has its own count
    assert progress.lines(events.TaskEnded(TaskId("my train"), "failed", 1.0)) == (
        'my train | … 1,205 more lines: %kale_logs "my train"',
        *(f"my train | epoch {i}" for i in range(1235, 1240)),
        "my train | ✗ failed in 1.0 s",
    )


@pytest.mark.parametrize(("count", "rest"), [(30, 0), (31, 1), (35, 5), (36, 6)])
def test_an_output_that_is_only_a_little_too_long_is_printed_whole(count: int, rest: int) -> None:
    progress = Progress(["load"], states=False)
    printed(progress, "load", map(str, range(count)))
    texts = [
        line.removeprefix("load | ") for line in progress.lines(events.TaskEnded(TaskId("load"), "failed", 1))
    ]
    counted = ["… 1 more line: %kale_logs load"] if count == 36 else []
    assert texts == [*counted, *map(str, range(count - min(rest, 5), count))]


def test_a_long_line_is_cut() -> None:
    assert printed(Progress(["a"]), "a", ["x" * 500, "y" * 501]) == [
        "a | " + "x" * 500,
        "a | " + "y" * 499 + "…",
    ]


def test_beside_a_picture_only_what_steps_print_is_printed() -> None:
    progress = Progress(["load"], states=False)
    given: list[events.Event] = [
        events.RunStarted(a_run()),
        events.TaskStarted(TaskId("load")),
        events.LinePrinted(TaskId("load"), "stderr", "569 rows"),
        events.TaskEnded(TaskId("load"), "succeeded", 0.42),
    ]
    assert [line for event in given for line in progress.lines(event)] == ["load | 569 rows"]


def test_the_summary_of_a_run_that_succeeded() -> None:
    run = a_run()
    for step in run.steps.values():
        step.state, step.seconds = "succeeded", 1.5
    run.steps["load"].cached = True
    run.steps["train"].metrics = {"auc": 0.99123456, "rows": 426}
    run.state, run.seconds = "succeeded", 4.6
    assert summary(run).splitlines() == [
        "step    state        time",
        "------  -----------  ------",
        "load    ✓ succeeded  cached",
        "train   ✓ succeeded  1.5 s",
        "report  ✓ succeeded  1.5 s",
        "",
        "✓ run succeeded in 4.6 s",
        "metrics:",
        "  auc   0.991235  from train",
        "  rows  426       from train",
        f"files: {run.folder}",
    ]


def test_the_summary_of_a_run_that_failed_names_what_was_skipped() -> None:
    run = a_run()
    run.steps["load"].state, run.steps["load"].seconds = "succeeded", 0.5
    run.steps["train"].state, run.steps["train"].seconds = "failed", 2.0
    run.steps["train"].error = running.TaskError("ValueError", "no\nrows", cell="In [5]", line=3)
    run.steps["report"].state = "skipped"
    run.state, run.seconds = "failed", 2.6
    text = summary(run)
    assert "train   ✗ failed     2.0 s   ValueError: no rows (In [5], line 3)" in text
    assert "report  ○ skipped" in text
    assert "✗ run failed in 2.6 s; train failed; report skipped" in text
