"""The options of a step that say how, and with what, it is executed: how they are written and understood.

What a cluster would refuse, hours later and in its own words, is refused here: units, names, paths. The
notations are Kubernetes' (resource units, names of objects, labels, taints) and KFP's where it takes less.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from kale_magics.model.diagnostics import Code, KaleError, Where, refuse
from kale_magics.model.options import StepOptions
from kale_magics.syntax.arguments import Option, near, parse_duration, whole_number

Values = Sequence[str]
Read = Callable[[Values, "Where | None"], dict[str, Any]]

_CPU = re.compile(r"(?P<number>\d+(\.\d+)?|\.\d+)(?P<unit>m?)")
_LIKE_CPU = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>m(illi)?)?\s*(v?cpus?|cores?)?", re.IGNORECASE)
_MEMORY = re.compile(r"(?P<number>\d+)(?P<unit>[EPTGMK]i?|)")
_LIKE_MEMORY = re.compile(
    r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[eptgmk])?(?P<binary>i)?b?(ytes)?", re.IGNORECASE
)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_DATA_KEY = re.compile(r"[-._A-Za-z0-9]+")
_IMAGE = re.compile(r"[a-z0-9][-a-z0-9._:/]*(:[\w][\w.-]*)?(@sha256:[0-9a-f]{64})?")
_RESOURCE = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9][-A-Za-z0-9_.]*")

_STEPS = "KMGTPE"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
NVIDIA = "nvidia.com/gpu"
"""What an accelerator is called where nothing else is said."""

MIN_SIZE = 2**20
"""Bytes of memory, or of a volume, below which a unit has been forgotten."""

MIN_MEGABYTES = 128
"""The least number without a unit that is taken for one of megabytes, and not of gigabytes."""


def _wrong(what: str, fix: str, where: Where | None) -> KaleError:
    return refuse(Code.BAD_STEP_OPTION, what, fix, where)


def _checked(pattern: re.Pattern[str], text: str, what: str, fix: str, where: Where | None) -> str:
    if not pattern.fullmatch(text):
        guess = text.strip().lower().replace("_", "-").replace(" ", "-")
        meant = f"did you mean {guess}? " if guess != text and pattern.fullmatch(guess) else ""
        raise _wrong(f"{text!r} is no {what}", meant + fix, where)
    return text


def _retries(values: Values, where: Where | None) -> dict[str, Any]:
    number = whole_number(values[0])
    if number is None:
        raise refuse(
            Code.BAD_ARGUMENTS, f"{values[0]!r} is no number of times", "write it as in --retries 3", where
        )
    return {"retries": number}


def _seconds(field: str) -> Read:
    return lambda values, where: {field: parse_duration(values[0], where).total_seconds()}


def _timeout(values: Values, where: Where | None) -> dict[str, Any]:
    seconds = parse_duration(values[0], where).total_seconds()
    if not seconds:
        raise _wrong("no step ends within no time", "write it as in --timeout 10m, or leave it out", where)
    return {"timeout": seconds}


def _range(field: str, amount: Callable[[str, Where | None], Decimal]) -> Read:
    """A request and a limit, REQUEST:LIMIT; one value is both."""

    def read(values: Values, where: Where | None) -> dict[str, Any]:
        request, colon, limit = values[0].partition(":")
        limit = limit if colon else request
        if amount(request, where) > amount(limit, where):
            raise _wrong(f"--{field} requests {request}, more than its limit {limit}", "swap them", where)
        return {field: (request, limit)}

    return read


def _cpu(text: str, where: Where | None) -> Decimal:
    """Cores."""
    match = _CPU.fullmatch(text)
    if match is None or not Decimal(match["number"]):
        like = _LIKE_CPU.fullmatch(text.strip())
        meant = ""
        if like and Decimal(like["number"]):
            meant = f"did you mean {like['number']}{'m' if like['unit'] else ''}? "
        fix = f"{meant}2 is two cores, 500m half a one"
        raise _wrong(f"--cpu takes cores, not {text!r}", fix, where)
    return Decimal(match["number"]) / (1000 if match["unit"] else 1)


def _memory(text: str, where: Where | None) -> Decimal:
    """Bytes."""
    return size("--memory", text, where)


def size(what: str, text: str, where: Where | None) -> Decimal:
    """Bytes, of a size in Kubernetes' notation.

    Args:
        what: What has this size.
        text: As typed.
        where: Where it stands, for the refusal.

    Raises:
        KaleError: It is none, or none that anybody means.
    """
    match = _MEMORY.fullmatch(text)
    found = Decimal(match["number"]) * _size(match["unit"]) if match else Decimal(0)
    if found < MIN_SIZE:
        fix = "write it as in 4G (billions of bytes) or 4Gi (2^30 bytes)"
        guess = _memory_meant(text)
        told = f"{what} takes a number of bytes with a unit, not {text!r}"
        if match and match["unit"] and found:
            told = f"{what} is less than 1Mi: {text}"
        raise _wrong(told, f"did you mean {guess}? {fix}" if guess else fix, where)
    return found


def _size(unit: str) -> int:
    return (1024 if unit.endswith("i") else 1000) ** (_STEPS.index(unit[0]) + 1) if unit else 1


def _memory_meant(text: str) -> str:
    """What a size is in Kubernetes' notation, without fractions, as KFP takes it; may be empty."""
    match = _LIKE_MEMORY.fullmatch(text.strip())
    if match is None or not Decimal(match["number"]):
        return ""
    unit = (match["unit"] or "").upper() + ("i" if match["unit"] and match["binary"] else "")
    number = Decimal(match["number"])
    if not unit and number < MIN_SIZE:
        # Who types 4 thinks of gigabytes, who types 4096 of megabytes.
        unit = "Gi" if number < MIN_MEGABYTES else "Mi"
        number = number if number < MIN_MEGABYTES * 1024 else Decimal(0)
    while number % 1 and unit:
        step = _STEPS.index(unit[0])
        number *= 1024 if unit.endswith("i") else 1000
        unit = (_STEPS[step - 1] + unit[1:]) if step else ""
    return f"{int(number)}{unit}" if int(number) * _size(unit) >= MIN_SIZE else ""


def _gpus(values: Values, where: Where | None) -> dict[str, Any]:
    number = whole_number(values[0])
    if number is None:
        fix = "write it as in --gpu 1; which kind says --accelerator or --node-selector"
        raise _wrong(f"--gpu takes a number of them, not {values[0]!r}", fix, where)
    return {"gpus": number}


def _accelerator(values: Values, where: Where | None) -> dict[str, Any]:
    if not _RESOURCE.fullmatch(values[0]):
        guess = near(values[0].lower(), ("nvidia", "amd", "intel", "habana"))
        known = {
            "nvidia": NVIDIA,
            "amd": "amd.com/gpu",
            "intel": "gpu.intel.com/i915",
            "habana": "habana.ai/gaudi",
        }
        meant = f"did you mean {known[guess]}? " if guess else ""
        fix = "write what the cluster calls the resource; a model of card is chosen by --node-selector"
        raise _wrong(f"{values[0]!r} is no resource of a cluster", meant + fix, where)
    return {"accelerator": values[0]}


def _variable(text: str, where: Where | None) -> None:
    if not _VARIABLE.fullmatch(text):
        guess = re.sub(r"[^A-Za-z0-9_]", "_", text)
        meant = f"did you mean {guess}? " if _VARIABLE.fullmatch(guess) else ""
        fix = "write letters, digits and underscores, and no digit first"
        raise _wrong(f"{text!r} is no name of an environment variable", meant + fix, where)


def _key(text: str, where: Where | None) -> None:
    fix = "write letters and digits, within them also '-', '_' and '.', as in team or example.com/team"
    _checked(_KEY, text, "name that a label or an annotation can have", fix, where)


def _pairs(
    field: str,
    option: str,
    check: Callable[[str, Where | None], None],
    value: re.Pattern[str] | None,
    example: str,
) -> Read:
    """NAME=VALUE, several."""

    def read(values: Values, where: Where | None) -> dict[str, Any]:
        found = []
        for text in values:
            name, equals, said = text.partition("=")
            if not equals or not name:
                raise _wrong(
                    f"{option} takes NAME=VALUE, not {text!r}", f"write it as in {option} {example}", where
                )
            check(name, where)
            if value is not None:
                _checked(
                    value, said, "value that a label can have", f"write it as in {option} {example}", where
                )
            if "{{" in said:
                raise _wrong(f"{text!r} has two braces that KFP takes for its own", "leave them out", where)
            found.append((name, said))
        return {field: tuple(found)}

    return read


def _config(field: str, option: str) -> Read:
    """NAME:KEY:ENV for an environment variable, NAME:/path for a volume, several."""

    def read(values: Values, where: Where | None) -> dict[str, Any]:
        env, volumes = [], []
        fix = f"write it as in {option} NAME:KEY:VARIABLE, or {option} NAME:/folder for files"
        for text in values:
            name, *rest = text.split(":")
            _checked(_NAME, name, "name that an object of a cluster can have", fix, where)
            if len(rest) == 1 and rest[0].startswith("/"):
                volumes.append((name, _path(rest[0], option, where)))
            elif len(rest) == 2 and _DATA_KEY.fullmatch(rest[0]) and rest[1]:
                _variable(rest[1], where)
                env.append((name, rest[0], rest[1]))
            else:
                raise _wrong(f"{option} does not take {text!r}", fix, where)
        return {f"{field}_env": tuple(env), f"{field}_volumes": tuple(volumes)}

    return read


def _volumes(values: Values, where: Where | None) -> dict[str, Any]:
    found = []
    for text in values:
        name, _, path = text.partition(":")
        fix = "write it as in --pvc NAME:/folder"
        _checked(_NAME, name, "name that a volume claim can have", fix, where)
        found.append((name, _path(path, "--pvc", where)))
    return {"volumes": tuple(found)}


def _path(text: str, option: str, where: Where | None) -> str:
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or str(path) in ("/", "//") or ":" in text:
        fix = f"write a folder of the container from its root on, as in {option} NAME:/data"
        raise _wrong(f"{text!r} is no place for a volume", fix, where)
    return str(path)


def _tolerations(values: Values, where: Where | None) -> dict[str, Any]:
    found = []
    for text in values:
        taint, colon, effect = text.rpartition(":") if ":" in text else (text, "", "")
        key, equals, value = taint.partition("=")
        fix = "write it as kubectl taint does: KEY=VALUE:EFFECT, KEY:EFFECT or KEY"
        if (colon and effect not in EFFECTS) or not _KEY.fullmatch(key) or not _LABEL.fullmatch(value):
            guess = near(effect, EFFECTS) if colon else None
            meant = f"did you mean {taint}:{guess}? " if guess and guess != effect else ""
            raise _wrong(f"{text!r} is no taint", meant + fix, where)
        found.append((key, value if equals else None, effect))
    return {"tolerations": tuple(found)}


def _names(field: str, what: str, pattern: re.Pattern[str], fix: str) -> Read:
    return lambda values, where: {field: tuple(_checked(pattern, v, what, fix, where) for v in values)}


def _image(values: Values, where: Where | None) -> dict[str, Any]:
    return {"image": image(values[0], where)}


def image(text: str, where: Where | None) -> str:
    """The name of a container image, as typed.

    Raises:
        KaleError: No image has such a name.
    """
    return _checked(_IMAGE, text, "name that an image can have", "write it as in python:3.11-slim", where)


def _packages(values: Values, where: Where | None) -> dict[str, Any]:
    for text in values:
        try:
            Requirement(text)
        except InvalidRequirement as error:
            reason = str(error).partition("\n")[0]
            fix = "write it as pip takes it, in quotes if it has < or > in it: --packages 'scipy>=1.10'"
            raise _wrong(f"{text!r} is no package ({reason})", fix, where) from error
    return {"packages": tuple(values)}


def _files(values: Values, where: Where | None) -> dict[str, Any]:
    for text in values:
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts or text.startswith("~"):
            fix = "put it beside the notebook, or below: a step finds it in the pod under the same path"
            raise _wrong(f"{text!r} is not in the folder of the notebook", fix, where)
    return {"files": tuple(str(PurePosixPath(text)) for text in values)}


def check_files(options: StepOptions, folder: Path, where: Where | None = None) -> None:
    """See that there is what a step is to take along.

    Args:
        options: Of the step.
        folder: That of the notebook.
        where: Where they stand, for the refusal.

    Raises:
        KaleError: A file that is not there, or a folder without files.
    """
    for name in options.files:
        place = folder / name
        try:
            found = place.is_file() or any(path.is_file() for path in place.rglob("*"))
        except (OSError, ValueError):  # its name is too long, or may not be entered
            found = False
        if not found:
            raise _no_such_file(name, place, where)


def _no_such_file(name: str, place: Path, where: Where | None) -> KaleError:
    others: list[str] = []
    is_folder = False
    with contextlib.suppress(OSError, ValueError):
        others = [path.name for path in place.parent.iterdir()] if place.parent.is_dir() else []
        is_folder = place.is_dir()
    if is_folder:
        fix = "the folder is empty: put files into it, or leave it out"
    elif re.search(r"[*?\[]", name):
        fix = "patterns are not expanded: name the folder, or each file"
    elif guess := near(place.name, others):
        fix = f"did you mean {Path(name).with_name(guess)}?"
    else:
        fix = "write it as from the notebook's folder"
    return _wrong(f"there is no file {name!r} to take along", fix, where)


def _flag(field: str, value: bool) -> Read:
    return lambda *_: {field: value}


def _many(name: str, help_: str, metavar: str) -> Option:
    return Option(name, help_, metavar, many=True)


_KEYS = "NAME:KEY:VARIABLE|NAME:/FOLDER"

_READERS: tuple[tuple[Option, Read], ...] = (
    (Option("--retries", "run the step again if it fails, at most this many times", "N"), _retries),
    (Option("--retry-delay", "wait this long before each retry: 10s, 5m, 1h", "TIME"), _seconds("delay")),
    (Option("--timeout", "stop an attempt that takes longer; it has failed then", "TIME"), _timeout),
    (
        Option("--no-cache", "run the step every time, even if nothing that it uses has changed"),
        _flag("cache", False),
    ),
    (
        Option("--cpu", "cores as request and limit, 2 or 500m; 500m:2 is both", "N[:LIMIT]"),
        _range("cpu", _cpu),
    ),
    (
        Option("--memory", "memory as request and limit, 4G or 512Mi; 2G:4G is both", "SIZE[:LIMIT]"),
        _range("memory", _memory),
    ),
    (Option("--gpu", "the number of accelerators", "N"), _gpus),
    (Option("--accelerator", "their resource in the cluster, if not nvidia.com/gpu", "TYPE"), _accelerator),
    (Option("--image", "the container image of the step", "IMAGE"), _image),
    (_many("--packages", "packages for pip, in addition to those that are found", "PACKAGE"), _packages),
    (_many("--file", "small files, or folders of them, for the pod, under the same path", "PATH"), _files),
    (
        _many("--env", "environment variables; local steps and the step's cells have them too", "NAME=VALUE"),
        _pairs("env", "--env", _variable, None, "LEVEL=debug"),
    ),
    (
        _many("--secret", "a key of a secret as a variable, or all its keys as files", _KEYS),
        _config("secret", "--secret"),
    ),
    (
        _many("--config-map", "a key of a config map as a variable, or all its keys as files", _KEYS),
        _config("config_map", "--config-map"),
    ),
    (_many("--pvc", "a persistent volume claim, mounted at this folder", "NAME:/FOLDER"), _volumes),
    (
        Option(
            "--workspace",
            "output values over a volume that the run's steps share, not over the store",
            alone="its size is set by %config KaleMagics.workspace_size = '10Gi'",
        ),
        _flag("workspace", True),
    ),
    (
        _many("--label", "labels of the pod", "NAME=VALUE"),
        _pairs("labels", "--label", _key, _LABEL, "team=research"),
    ),
    (
        _many("--annotation", "annotations of the pod", "NAME=VALUE"),
        _pairs("annotations", "--annotation", _key, None, "sidecar.istio.io/inject=false"),
    ),
    (
        _many("--node-selector", "run only on nodes with this label", "NAME=VALUE"),
        _pairs("node_selector", "--node-selector", _key, _LABEL, "disk=ssd"),
    ),
    (
        _many("--toleration", "run also on nodes with this taint, as for kubectl", "KEY[=VALUE][:EFFECT]"),
        _tolerations,
    ),
    (
        _many("--image-pull-secret", "secrets with the credentials of image registries", "NAME"),
        _names("image_pull_secrets", "name that a secret can have", _NAME, "write it as the cluster does"),
    ),
    (Option("--no-report", "make no HTML report of what the step's cells show"), _flag("report", False)),
)

OPTIONS = tuple(option for option, _ in _READERS)
"""In the order of the help."""


def read_options(given: Mapping[str, Values], where: Where | None = None) -> StepOptions:
    """What the options of a step say.

    Args:
        given: The values of each option that was given; other options are passed over.
        where: Where they stand, for the refusal.

    Raises:
        KaleError: A value that a cluster, or an option, does not take.
    """
    said: dict[str, Any] = {}
    for option, read in _READERS:
        if option.name in given:
            said.update(read(given[option.name], where))
    options = StepOptions.of(said)
    check_duplicates(options, where)
    return options


def check_duplicates(options: StepOptions, where: Where | None = None) -> None:
    """Refuse what options would fill twice in a pod, of which one would win without a word.

    Args:
        options: Of a cell, or of a step.
        where: Where they stand, for the refusal.

    Raises:
        KaleError: A folder, an environment variable, or a name is given twice.
    """
    own = options.kubernetes
    places = [place for _, place in (*own.volumes, *own.secret_volumes, *own.config_map_volumes)]
    variables = [item[0] for item in options.env]
    variables += [item[-1] for item in (*own.secret_env, *own.config_map_env)]
    names = ([name for name, _ in items] for items in (own.labels, own.annotations, own.node_selector))
    for given in (places, variables, *names):
        twice = next((name for name in given if given.count(name) > 1), None)
        if twice is not None:
            message = f"{twice} is given twice"
            raise refuse(Code.BAD_STEP_OPTION, message, "leave one of the two out", where)
