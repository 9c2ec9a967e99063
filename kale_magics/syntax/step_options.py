"""Parse and validate the options of a step: resources, environment, volumes, scheduling.

Invalid units, names and paths are rejected here, instead of hours later by a cluster. The notations are those
of Kubernetes (resource units, names of objects, labels, taints), and of KFP where it is stricter.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from kale_magics.model.diagnostics import Code, KaleError, Where, kale_error
from kale_magics.model.options import StepOptions
from kale_magics.syntax.arguments import Option, closest, parse_duration, whole_number
from kale_magics.syntax.quantities import cores, memory

Values = Sequence[str]
Read = Callable[[Values, "Where | None"], dict[str, Any]]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_DATA_KEY = re.compile(r"[-._A-Za-z0-9]+")
_IMAGE = re.compile(r"[a-z0-9][-a-z0-9._:/]*(:[\w][\w.-]*)?(@sha256:[0-9a-f]{64})?")
_RESOURCE = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9][-A-Za-z0-9_.]*")

ACCESS_MODES = ("ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
"""Kubernetes' access modes of a volume that steps can write to."""

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
NVIDIA = "nvidia.com/gpu"
"""The default resource name of an accelerator."""


def _invalid(what: str, fix: str, where: Where | None) -> KaleError:
    return kale_error(Code.BAD_STEP_OPTION, what, fix, where)


def _checked(pattern: re.Pattern[str], text: str, what: str, fix: str, where: Where | None) -> str:
    if not pattern.fullmatch(text):
        guess = text.strip().lower().replace("_", "-").replace(" ", "-")
        meant = f"did you mean {guess}? " if guess != text and pattern.fullmatch(guess) else ""
        raise _invalid(f"{text!r} is not a valid {what}", meant + fix, where)
    return text


def _retries(values: Values, where: Where | None) -> dict[str, Any]:
    number = whole_number(values[0])
    if number is None:
        raise kale_error(
            Code.BAD_ARGUMENTS,
            f"{values[0]!r} is not a number of retries",
            "write it as in --retries 3",
            where,
        )
    return {"retries": number}


def _seconds(field: str) -> Read:
    return lambda values, where: {field: parse_duration(values[0], where).total_seconds()}


def _timeout(values: Values, where: Where | None) -> dict[str, Any]:
    seconds = parse_duration(values[0], where).total_seconds()
    if not seconds:
        raise _invalid("--timeout must be greater than 0", "write it as in --timeout 10m", where)
    return {"timeout": seconds}


def _range(field: str, amount: Callable[[str, Where | None], Decimal]) -> Read:
    """Return a parser of REQUEST:LIMIT; one value is both."""

    def read(values: Values, where: Where | None) -> dict[str, Any]:
        request, colon, limit = values[0].partition(":")
        limit = limit if colon else request
        if amount(request, where) > amount(limit, where):
            raise _invalid(f"--{field} requests {request}, more than its limit {limit}", "swap them", where)
        return {field: (request, limit)}

    return read


def _gpus(values: Values, where: Where | None) -> dict[str, Any]:
    number = whole_number(values[0])
    if number is None:
        fix = "write it as in --gpu 1; choose the type with --accelerator or --node-selector"
        raise _invalid(f"--gpu takes a number of accelerators, not {values[0]!r}", fix, where)
    return {"gpus": number}


def _accelerator(values: Values, where: Where | None) -> dict[str, Any]:
    if not _RESOURCE.fullmatch(values[0]):
        guess = closest(values[0].lower(), ("nvidia", "amd", "intel", "habana"))
        known = {
            "nvidia": NVIDIA,
            "amd": "amd.com/gpu",
            "intel": "gpu.intel.com/i915",
            "habana": "habana.ai/gaudi",
        }
        meant = f"did you mean {known[guess]}? " if guess else ""
        fix = "use the resource name of the cluster; choose a model of card with --node-selector"
        raise _invalid(f"{values[0]!r} is not a valid resource name", meant + fix, where)
    return {"accelerator": values[0]}


def _variable(text: str, where: Where | None) -> None:
    if not _VARIABLE.fullmatch(text):
        guess = re.sub(r"[^A-Za-z0-9_]", "_", text)
        meant = f"did you mean {guess}? " if _VARIABLE.fullmatch(guess) else ""
        fix = "use letters, digits and underscores, and no digit first"
        raise _invalid(f"{text!r} is not a valid name of an environment variable", meant + fix, where)


def _key(text: str, where: Where | None) -> None:
    fix = "use letters and digits, and between them '-', '_' and '.', as in team or example.com/team"
    _checked(_KEY, text, "name of a label or an annotation", fix, where)


def _pairs(
    field: str,
    option: str,
    check: Callable[[str, Where | None], None],
    value: re.Pattern[str] | None,
    example: str,
) -> Read:
    """Return a parser of several NAME=VALUE."""

    def read(values: Values, where: Where | None) -> dict[str, Any]:
        found = []
        for text in values:
            name, equals, content = text.partition("=")
            if not equals or not name:
                raise _invalid(
                    f"{option} takes NAME=VALUE, not {text!r}", f"write it as in {option} {example}", where
                )
            check(name, where)
            if value is not None:
                _checked(value, content, "value of a label", f"write it as in {option} {example}", where)
            if "{{" in content:
                raise _invalid(f"KFP would interpret the two braces in {text!r}", "remove them", where)
            found.append((name, content))
        return {field: tuple(found)}

    return read


def _config(field: str, option: str) -> Read:
    """Return a parser of several NAME:KEY:ENV, for environment variables, and NAME:/path, for volumes."""

    def read(values: Values, where: Where | None) -> dict[str, Any]:
        env, volumes = [], []
        fix = f"write it as in {option} NAME:KEY:VARIABLE, or {option} NAME:/folder for files"
        for text in values:
            name, *rest = text.split(":")
            _checked(_NAME, name, "name of an object in a cluster", fix, where)
            if len(rest) == 1 and rest[0].startswith("/"):
                volumes.append((name, _path(rest[0], option, where)))
            elif len(rest) == 2 and _DATA_KEY.fullmatch(rest[0]) and rest[1]:
                _variable(rest[1], where)
                env.append((name, rest[0], rest[1]))
            else:
                raise _invalid(f"{text!r} is not a valid value of {option}", fix, where)
        return {f"{field}_env": tuple(env), f"{field}_volumes": tuple(volumes)}

    return read


def _volumes(values: Values, where: Where | None) -> dict[str, Any]:
    found = []
    for text in values:
        name, _, path = text.partition(":")
        fix = "write it as in --pvc NAME:/folder"
        _checked(_NAME, name, "name of a volume claim", fix, where)
        found.append((name, _path(path, "--pvc", where)))
    return {"volumes": tuple(found)}


def _path(text: str, option: str, where: Where | None) -> str:
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or str(path) in ("/", "//") or ":" in text:
        fix = f"use an absolute path in the container, as in {option} NAME:/data"
        raise _invalid(f"{text!r} is not a valid mount path", fix, where)
    return str(path)


def _tolerations(values: Values, where: Where | None) -> dict[str, Any]:
    found = []
    for text in values:
        taint, colon, effect = text.rpartition(":") if ":" in text else (text, "", "")
        key, equals, value = taint.partition("=")
        fix = "write it as kubectl taint does: KEY=VALUE:EFFECT, KEY:EFFECT or KEY"
        if (colon and effect not in EFFECTS) or not _KEY.fullmatch(key) or not _LABEL.fullmatch(value):
            guess = closest(effect, EFFECTS) if colon else None
            meant = f"did you mean {taint}:{guess}? " if guess and guess != effect else ""
            raise _invalid(f"{text!r} is not a valid taint", meant + fix, where)
        found.append((key, value if equals else None, effect))
    return {"tolerations": tuple(found)}


def _names(field: str, what: str, pattern: re.Pattern[str], fix: str) -> Read:
    return lambda values, where: {field: tuple(_checked(pattern, v, what, fix, where) for v in values)}


def _image(values: Values, where: Where | None) -> dict[str, Any]:
    return {"image": image(values[0], where)}


def image(text: str, where: Where | None) -> str:
    """Validate the name of a container image, and return it.

    Raises:
        KaleError: The name is invalid.
    """
    return _checked(_IMAGE, text, "name of an image", "write it as in python:3.11-slim", where)


def access_modes(values: Sequence[str], where: Where | None) -> tuple[str, ...]:
    """Validate the access modes of a run's shared volume, and return them.

    Raises:
        KaleError: There is none, or steps cannot write with one of them.
    """
    example = "%config KaleMagics.workspace_access_modes = ['ReadWriteMany']"
    fix = f"choose from {', '.join(ACCESS_MODES)}: {example}"
    if not values:
        raise _invalid("workspace_access_modes is empty, but a volume needs an access mode", fix, where)
    for value in values:
        if value == "ReadOnlyMany":
            raise _invalid(
                "with access mode ReadOnlyMany, no step can write to the shared volume", fix, where
            )
        if value not in ACCESS_MODES:
            guess = closest(value, ACCESS_MODES)
            message = f"{value!r} is not an access mode of a volume"
            raise _invalid(message, f"did you mean {guess}? {fix}" if guess else fix, where)
    return tuple(values)


def _packages(values: Values, where: Where | None) -> dict[str, Any]:
    for text in values:
        try:
            Requirement(text)
        except InvalidRequirement as error:
            reason = str(error).partition("\n")[0]
            fix = "write it as for pip, in quotes if it contains < or >: --packages 'scipy>=1.10'"
            raise _invalid(f"{text!r} is not a valid requirement ({reason})", fix, where) from error
    return {"packages": tuple(values)}


def _files(values: Values, where: Where | None) -> dict[str, Any]:
    for text in values:
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts or text.startswith("~"):
            fix = "move it to the notebook's folder or below; in the pod it has the same path"
            raise _invalid(f"{text!r} is not in the notebook's folder", fix, where)
    return {"files": tuple(str(PurePosixPath(text)) for text in values)}


def check_files(options: StepOptions, folder: Path, where: Where | None = None) -> None:
    """Check that the files of `--file` exist.

    Args:
        options: The options of the step.
        folder: The folder of the notebook.
        where: The place of the line, for errors.

    Raises:
        KaleError: A file does not exist, or a folder contains no files.
    """
    for name in options.files:
        place = folder / name
        try:
            found = place.is_file() or any(path.is_file() for path in place.rglob("*"))
        except (OSError, ValueError):  # the name is too long, or permission is denied
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
        fix = "the folder is empty: add files to it, or remove it from --file"
    elif re.search(r"[*?\[]", name):
        fix = "patterns are not expanded: name the folder, or each file"
    elif guess := closest(place.name, others):
        fix = f"did you mean {Path(name).with_name(guess)}?"
    else:
        fix = "use a path relative to the notebook's folder"
    return _invalid(f"--file names {name!r}, but there is no such file", fix, where)


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
        _range("cpu", cores),
    ),
    (
        Option("--memory", "memory as request and limit, 4G or 512Mi; 2G:4G is both", "SIZE[:LIMIT]"),
        _range("memory", memory),
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
            flag_fix="its size is set by %config KaleMagics.workspace_size = '10Gi'",
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
        _names("image_pull_secrets", "name of a secret", _NAME, "use the name of the secret in the cluster"),
    ),
    (Option("--no-report", "make no HTML report of what the step's cells show"), _flag("report", False)),
)

OPTIONS = tuple(option for option, _ in _READERS)
"""In the order of the help."""


def read_options(given: Mapping[str, Values], where: Where | None = None) -> StepOptions:
    """Return the options of a step from their values.

    Args:
        given: The values of each option that is present; other options are ignored.
        where: The place of the line, for errors.

    Raises:
        KaleError: A value that the option, or a cluster, rejects.
    """
    values: dict[str, Any] = {}
    for option, read in _READERS:
        if option.name in given:
            values.update(read(given[option.name], where))
    options = StepOptions.of(values)
    check_duplicates(options, where)
    return options


def check_duplicates(options: StepOptions, where: Where | None = None) -> None:
    """Reject options that set something in a pod twice: one of them would win silently.

    Args:
        options: The options of a cell, or of a step.
        where: The place of the line, for errors.

    Raises:
        KaleError: A mount path, an environment variable, or a name is set twice.
    """
    own = options.kubernetes
    places = [place for _, place in (*own.volumes, *own.secret_volumes, *own.config_map_volumes)]
    variables = [item[0] for item in options.env]
    variables += [item[-1] for item in (*own.secret_env, *own.config_map_env)]
    names = ([name for name, _ in items] for items in (own.labels, own.annotations, own.node_selector))
    for given in (places, variables, *names):
        twice = next((name for name in given if given.count(name) > 1), None)
        if twice is not None:
            message = f"the options of the step set {twice} twice"
            raise kale_error(Code.BAD_STEP_OPTION, message, "remove one of the two", where)
