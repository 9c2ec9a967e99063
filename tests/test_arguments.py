"""What stands behind the magics."""

from __future__ import annotations

import pytest

from kale_magics.magics.expansion import expand_arguments
from kale_magics.model.diagnostics import KaleError, Where
from kale_magics.model.pipeline import Json, Parameter
from kale_magics.syntax import arguments, commands
from kale_magics.syntax.arguments import parse
from kale_magics.syntax.commands import Mark, parse_mark
from kale_magics.syntax.parameter_values import parameter_values
from tests.shells import mentions

MARKS = [
    ("imports", Mark("imports")),
    ("functions", Mark("functions")),
    ("parameters", Mark("parameters")),
    ("pipeline-parameters", Mark("parameters")),
    ("metrics", Mark("metrics")),
    ("metrics --no-run", Mark("metrics", run=False)),
    ("pipeline-metrics # numbers", Mark("metrics")),
    ("skip", Mark("skip")),
    ("step train", Mark("step", "train")),
    ("  step   train-model  ", Mark("step", "train-model")),
    ('step "Train model 2"', Mark("step", "Train model 2")),
    ("step 'Train \"model\" 2'", Mark("step", 'Train "model" 2')),
    (r"step Train\ model", Mark("step", "Train model")),
    ("step größe", Mark("step", "größe")),
    ("step train # don't wait", Mark("step", "train")),
    ("step train #1 of 2", Mark("step", "train")),
    ("step train#1", Mark("step", "train#1")),
    ('step "train # 1"', Mark("step", "train # 1")),
    ("step c --after a b", Mark("step", "c", ("a", "b"))),
    ("step c --after a,b", Mark("step", "c", ("a", "b"))),
    ("step c --after a, b", Mark("step", "c", ("a", "b"))),
    ("step c --after=a", Mark("step", "c", ("a",))),
    ("step c --after=a,b", Mark("step", "c", ("a", "b"))),
    ("step c --after a --after b", Mark("step", "c", ("a", "b"))),
    ("step c --after a b --after=a", Mark("step", "c", ("a", "b"))),
    ('step c --after "clean, then sort" b', Mark("step", "c", ("clean, then sort", "b"))),
    ('step "a, b"', Mark("step", "a, b")),
    ("step c --no-run", Mark("step", "c", run=False)),
    ("step --no-run c", Mark("step", "c", run=False)),
    ("step c --reads df,model --reads X", Mark("step", "c", reads=("df", "model", "X"))),
    ("step c --after a --no-run # later", Mark("step", "c", ("a",), run=False)),
]


@pytest.mark.parametrize(("text", "mark"), MARKS)
def test_a_mark_is_read(text: str, mark: Mark) -> None:
    assert parse_mark(text) == mark


KINDS = "imports, functions, parameters, step NAME, metrics, skip"

REFUSED_MARKS = [
    ("", "KALE101 %%kale", KINDS),
    ("# step a", "KALE101 %%kale", KINDS),
    ("stp a", "KALE101 'stp'", "%%kale step?"),
    ("Step a", "KALE101 'Step'", "%%kale step?"),
    ("step:train", "KALE101 'step:train'", "%%kale step train?"),
    ("'step:a b'", "KALE101 'step:a b'", '%%kale step "a b"?'),
    (
        "step:train --no-run prev:load prev:clean",
        "KALE101 'step:train'",
        "%%kale step train --no-run --after load clean?",
    ),
    (
        "prev:load",
        "KALE101 'prev:load'",
        "%%kale step NAME --after load?",
    ),
    (
        "step train prev:load",
        "KALE103 %%kale step NAME 'train', 'prev:load'",
        "%%kale step train --after load?",
    ),
    ("parameter", "KALE101 'parameter'", "%%kale parameters?"),
    ("zzz", "KALE101 'zzz'", KINDS),
    ("step a --afte b", "KALE102 %%kale step  --afte", "--after?"),
    ("step a --norun", "KALE102 %%kale step  --norun", "--no-run?"),
    ("step a -x", "KALE102 %%kale step  -x", "%%kale?"),
    (
        "step a --timeout 5 minutes",
        "KALE103 %%kale step NAME 'a', 'minutes'",
        "--timeout minutes 5",
    ),
    ("step a --retries often", "KALE103 'often'", "--retries 3"),
    (
        "step a --timeout soon",
        "KALE103 'soon'",
        "90s",
    ),
    ("step a --timeout 1m --timeout 2m", "KALE103 --timeout", "one of"),
    ("imports --after a", "KALE102 %%kale imports  --after", "no options"),
    ("step a --after", "KALE103 --after value", "--after STEP ..."),
    ("step a --after=", "KALE103 --after value", "--after STEP ..."),
    ("step a --no-run=1", "KALE103 --no-run no value", "--no-run"),
    ("step a --no-cache 1", "KALE103 --no-cache no value", "--no-cache"),
    (
        "step a --workspace 10Gi --no-run",
        "KALE103 --workspace no value",
        "%config KaleMagics.workspace_size = '10Gi'",
    ),
    (
        "step a --workspace=10Gi",
        "KALE103 --workspace no value",
        "%config KaleMagics.workspace_size = '10Gi'",
    ),
    (
        "step --no-run Train model",
        "KALE103 %%kale step NAME 'Train', 'model'",
        '%%kale step "Train model"',
    ),
    (
        "step train --no-run prev:load",
        "KALE103 %%kale step NAME 'train', 'prev:load'",
        "%%kale step train --after load?",
    ),
    (
        "step a --timeout 5 minutes at most",
        "KALE103 %%kale step NAME 'a', 'minutes', 'at', 'most'",
        "--timeout minutes at most 5",
    ),
    ("metrics --no-report", "KALE102 %%kale metrics  --no-report", "--no-run?"),
    (
        "step Train model 2",
        "KALE103 %%kale step NAME 'Train', 'model', '2'",
        '%%kale step "Train model 2"',
    ),
    ("imports numpy", "KALE103 %%kale imports no 'numpy'", "remove"),
    (
        'step "Train model',
        "KALE103 no closing quotation",
        '"Train model 2"',
    ),
    ("step", "KALE104 %%kale step name", "%%kale step train --after prepare"),
    ('step ""', "KALE104 %%kale step name", "%%kale step train --after prepare"),
    (
        "step --after a",
        "KALE104 %%kale step name",
        "%%kale step train --after prepare",
    ),
]


@pytest.mark.parametrize(("text", "what", "fix"), REFUSED_MARKS)
def test_a_mark_is_refused(text: str, what: str, fix: str) -> None:
    with pytest.raises(KaleError) as refused:
        parse_mark(text, Where("In [3]", line=1, text=f"%%kale {text}"))
    message, at, advice = str(refused.value).splitlines()
    assert mentions(message, what)
    assert at == f"  at:  In [3], line 1: %%kale {text}".rstrip()
    assert mentions(advice, f"fix: {fix}")


def test_the_arguments_of_a_run_are_read() -> None:
    read = parse(commands.RUN, "-p a=1 b=2 --name 'my run' -p \"c=x, y\" # now")
    assert read.words == ()
    assert read.options == {"-p": ("a=1", "b=2", "c=x, y"), "--name": ("my run",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--name a --name b", "KALE103 --name"),
        ("--nam a", "KALE102 %kale_run  --nam"),
        ("-p", "KALE103 -p value"),
        ("--name", "KALE103 --name value"),
        ("--name a b", "KALE103 --name spaces"),
        ("--background 1", "KALE103 --background no value"),
        ("now", "KALE103 %kale_run no 'now'"),
    ],
)
def test_the_arguments_of_a_run_are_refused(text: str, message: str) -> None:
    with pytest.raises(KaleError) as refused:
        parse(commands.RUN, text)
    assert mentions(str(refused.value).splitlines()[0], message)


SCHEDULES = [
    ("--cron 0 6 * * *", "--cron '0 6 * * *'"),
    ("--cron 0 6 1,15 * * --name daily", "--cron '0 6 1,15 * *'"),
    ("--every 6h --name every day", "--name 'every day'"),
    ("--list", "%kale_schedule"),
    ("--every 6 h", "--every h 6"),
]


@pytest.mark.parametrize(("text", "fix"), SCHEDULES)
def test_the_arguments_of_a_schedule_are_refused(text: str, fix: str) -> None:
    with pytest.raises(KaleError) as refused:
        parse(commands.SCHEDULE, text)
    assert mentions(str(refused.value).splitlines()[-1], f"fix: {fix}")


@pytest.mark.parametrize("text", ["30m", "6h", "1h30m", "1d12h", "90d", "1m1s", "0s"])
def test_a_length_of_time_is_written_as_it_is_read(text: str) -> None:
    assert arguments.length(arguments.parse_duration(text)) == text


def test_a_file_is_needed_to_compile() -> None:
    with pytest.raises(KaleError, match=r"KALE103 %kale_compile needs FILE\.yaml"):
        parse(commands.COMPILE, "")


@pytest.mark.parametrize(
    "name", ["train", "Train model 2", 'say "so"', "a, b", "x#1", "back\\slash", "größe"]
)
def test_a_name_in_quotes_is_read_as_the_name(name: str) -> None:
    assert parse_mark(f"step {arguments.quoted(name)}").name == name
    assert parse_mark(f"step last --after first {arguments.quoted(name)}").after == ("first", name)


def test_without_parameters_the_fix_is_to_make_one() -> None:
    with pytest.raises(KaleError, match=r"KALE109 .* 'lr'\n  fix: .*%%kale parameters"):
        parameter_values([], ["lr=1"])


PARAMETERS = [
    Parameter("epochs", "epochs", "int", 5),
    Parameter("lr", "lr", "float", 0.1),
    Parameter("fast", "fast", "bool", True),
    Parameter("name", "name", "str", "x"),
    Parameter("layers", "layers", "list", [64, 32]),
    Parameter("options", "options", "dict", {"a": 1}),
    Parameter("limit", "limit", "None", None),
    Parameter("rate", "rate", "int | float", 1),
    Parameter("most", "most", "int | None", None),
    Parameter("mode", "mode", "Literal['fast', 'good']", "fast"),
    Parameter("sizes", "sizes", "list[int] | None", None),
]

VALUES = [
    ("epochs=10", "epochs", 10),
    ("epochs=-10", "epochs", -10),
    ("lr=1", "lr", 1.0),
    ("lr=1e-3", "lr", 0.001),
    ("fast=false", "fast", False),
    ("fast=True", "fast", True),
    ("name=5", "name", "5"),
    ("name=", "name", ""),
    ("name=a=b", "name", "a=b"),
    ("layers=[1, 2.5, null]", "layers", [1, 2.5, None]),
    ("layers=['a', None, True]", "layers", ["a", None, True]),
    ("layers=[]", "layers", []),
    ('options={"a": {"b": [1]}}', "options", {"a": {"b": [1]}}),
    ("options={'a': -1}", "options", {"a": -1}),
    ("limit=5", "limit", 5),
    ("limit=five", "limit", "five"),
    ("limit=None", "limit", None),
    ("rate=2", "rate", 2),
    ("rate=0.5", "rate", 0.5),
    ("most=3", "most", 3),
    ("most=null", "most", None),
    ("mode=good", "mode", "good"),
    ("sizes=[1, 2]", "sizes", [1, 2]),
]


@pytest.mark.parametrize(("pair", "name", "value"), VALUES)
def test_a_parameter_gets_a_value_of_its_type(pair: str, name: str, value: Json) -> None:
    assert repr(parameter_values(PARAMETERS, [pair])) == repr({name: value})


REFUSED_VALUES = [
    ("epochs=ten", "KALE108 parameter epochs integer 'ten'", "-p epochs=5"),
    ("epochs=1.5", "KALE108 parameter epochs integer '1.5'", "-p epochs=5"),
    ("epochs=", "KALE108 parameter epochs integer ''", "-p epochs=5"),
    ("lr=fast", "KALE108 parameter lr number 'fast'", "-p lr=0.1"),
    ("fast=1", "KALE108 parameter fast true or false '1'", "-p fast=true"),
    (
        "layers={}",
        "KALE108 parameter layers list JSON quotes '{}'",
        "-p 'layers=[64, 32]'",
    ),
    (
        "layers=[(1, 2)]",
        "KALE108 parameter layers list JSON quotes '[(1, 2)]'",
        "-p 'layers=[64, 32]'",
    ),
    (
        "options={a: 1}",
        "KALE108 parameter options dict JSON quotes '{a: 1}'",
        "-p 'options={\"a\": 1}'",
    ),
]


@pytest.mark.parametrize(("pair", "what", "example"), REFUSED_VALUES)
def test_a_value_of_another_type_is_refused(pair: str, what: str, example: str) -> None:
    with pytest.raises(KaleError) as refused:
        parameter_values(PARAMETERS, [pair])
    message, fix = str(refused.value).splitlines()
    assert mentions(message, what)
    assert mentions(fix, f"fix: default {example}")


REFUSED_BY_ANNOTATIONS = [
    ("rate=x", "number 'x'", "default -p rate=1"),
    ("most=x", "integer or None 'x'", "-p most=1"),
    ("mode=goood", "'fast' or 'good' 'goood'", "good?"),
    ("mode=5", "'fast' or 'good' '5'", "default -p mode=fast"),
    (
        "sizes=['a']",
        "list each item integer or None \"['a']\"",
        "-p 'sizes=[1, 2]'",
    ),
    ("limit=(1, 2)", "JSON '(1, 2)'", "-p limit=None"),
]


@pytest.mark.parametrize(("pair", "what", "fix"), REFUSED_BY_ANNOTATIONS)
def test_a_value_that_the_annotation_does_not_take_is_refused(pair: str, what: str, fix: str) -> None:
    with pytest.raises(KaleError) as refused:
        parameter_values(PARAMETERS, [pair])
    name = pair.partition("=")[0]
    message, advice = str(refused.value).splitlines()
    assert mentions(message, f"KALE108 parameter {name} {what}")
    assert mentions(advice, f"fix: {fix}")


@pytest.mark.parametrize(
    ("pairs", "what", "fix"),
    [
        (["epoch=1"], "KALE109 parameter 'epoch'", "epochs?"),
        (
            ["zzz=1"],
            "KALE109 parameter 'zzz'",
            "epochs, lr, fast, name, layers, options, limit, rate, most, mode, sizes",
        ),
        (["lr=1", "lr=2"], "KALE213 lr", "one of"),
        (
            ["lr", "=", "2"],
            "KALE103 -p NAME=VALUE 'lr'",
            commands.RUN.example,
        ),
    ],
)
def test_what_is_no_parameter_is_refused(pairs: list[str], what: str, fix: str) -> None:
    with pytest.raises(KaleError) as refused:
        parameter_values(PARAMETERS, pairs)
    message, advice = str(refused.value).splitlines()
    assert mentions(message, what)
    assert mentions(advice, f"fix: {fix}")


@pytest.mark.parametrize(
    "syntax", [*commands.KINDS.values(), commands.KALE, commands.GRAPH, commands.RUN, commands.COMPILE]
)
def test_every_example_can_be_typed(syntax: arguments.Syntax) -> None:
    _, _, text = syntax.example.partition(syntax.magic)
    assert parse(syntax, text)


def test_help_has_the_forms_the_options_and_an_example() -> None:
    assert arguments.usage([commands.RUN]) == (
        "    %kale_run [-p NAME=VALUE ...] [--name NAME] [--until STEP ...] [--only STEP ...] [--resume]\n"
        "        [--no-cache] [--check] [--background] [--host [ADDRESS]] [--no-wait]"
        " [--cancel-on-interrupt]\n"
        "\n"
        "-p NAME=VALUE ...      give a parameter another value, in its type\n"
        "--name NAME            name the run, for %kale_runs\n"
        "--until STEP ...       run only these steps and those that they depend on\n"
        "--only STEP ...        run only these steps; their inputs come from the last run that has them\n"
        "--resume               continue the last run, which failed, with its parameters and today's cells\n"
        "--no-cache             run every step, even if nothing that it uses has changed\n"
        "--check                fail if a value differs from the notebook's, as for CI\n"
        "--background           return at once; what the run prints appears below this cell\n"
        "--host [ADDRESS]       use this server of Kubeflow Pipelines; alone, the configured one\n"
        "--no-wait              on a server: return at once; %kale_attach follows the run later\n"
        "--cancel-on-interrupt  on a server: an interrupt ends the run, not only the watching\n"
        "\n"
        "Example:\n"
        "    run = %kale_run -p epochs=5 -p 'layers=[64, 32]' --name \"five epochs\""
    )


VARIABLES = {
    "a": 1,
    "s": "two words",
    "quote": 'say "so"',
    "d": {"k": [1, 2]},
    "o": "-p x=1 --name y",
    "none": None,
}
EXPANDED = [
    ("{a}", ["1"]),
    ("x={a + 1}.csv", ["x=2.csv"]),
    ("x={ a+1 } y", ["x=2", "y"]),
    ("x=$a $b $$a", ["x=1", "$b", "$a"]),
    ("'$a' \"$a\"", ["$a", "1"]),
    ('x=$a "it\'s $a"', ["x=1", "it's 1"]),
    ("{s} x={s}", ["two words", "x=two words"]),
    ("'x={s}' \"{s}\"", ["x=two words", "two words"]),
    ("{quote} '{quote}' \"{quote}\"", ['say "so"'] * 3),
    ("{quote[4:]}", ['"so"']),
    ("x={d['k']}", ["x=[1, 2]"]),
    ("x={d}", ["x={'k': [1, 2]}"]),
    ('x={d["k"][0]}', ["x=1"]),
    ("{o}", ["-p", "x=1", "--name", "y"]),
    ("x={o}", ["x=-p x=1 --name y"]),
    ("x={none}", ["x=None"]),
    ("{b} {a} {1/0} {", ["{b}", "1", "{1/0}", "{"]),
    ("{{a}} {{b}}", ["{a}", "{b}"]),
    ("'o={\"a\": 1}' x={a}", ['o={"a": 1}', "x=1"]),
    ('\'o={"a": {"b": {}}}\'', ['o={"a": {"b": {}}}']),
    ("\"o={'a': '{a}'}\"", ["o={'a': '{a}'}"]),
    ("'o={{\"a\": {a}}}'", ['o={"a": 1}']),
    ('\'o={"a": {"b": {a}}}\'', ['o={"a": {"b": 1}}']),
    ("'o=[{a}, {}]'", ["o=[1, {}]"]),
    ('\'o={"s": "$a"}\'', ['o={"s": "$a"}']),
    ("x\\{a\\} {a}", ["x{a}", "1"]),
    ("é={a}☃", ["é=1☃"]),
]


@pytest.mark.parametrize("text", ["9" * 20, "9" * 400, "9" * 30 + "w", "36526d"])
def test_a_time_of_absurd_length_is_refused(text: str) -> None:
    with pytest.raises(KaleError) as raised:
        arguments.parse_duration(text)
    assert raised.value.diagnostics[0].code.code == "KALE103"


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3), ("999999999", 999_999_999), ("9" * 10, None), ("9" * 5_000, None), ("-1", None), ("", None)],
)
def test_whole_numbers_have_nine_digits_at_most(text: str, number: int | None) -> None:
    assert arguments.whole_number(text) == number


@pytest.mark.parametrize(("text", "words"), EXPANDED)
def test_variables_are_put_into_words(text: str, words: list[str]) -> None:
    assert [
        arguments.unprotected(word) for word in arguments.split(expand_arguments(text, VARIABLES), None)
    ] == words
