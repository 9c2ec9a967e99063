"""A pipeline as KFP's intermediate representation, a YAML file that needs nothing else.

Every step becomes a lightweight component whose function is the step's program; KFP's own decorators make the
components and the pipeline, as they would if somebody had written all that by hand.
"""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import json
import linecache
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kale_magics import naming
from kale_magics.diagnostics import Code, refuse
from kale_magics.pipeline import Parameter, Pipeline, Step
from kale_magics.program import render_program
from kale_magics.step_runtime.runtime import hold

SUFFIXES = (".yaml", ".yml")

LONGEST_NAME = 128
"""Characters that KFP takes for the name of a pipeline."""

ANNOTATIONS: dict[str, type] = {
    "int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict, "None": str,
}  # fmt: skip


def compile_pipeline(pipeline: Pipeline, path: Path) -> None:
    """Write the YAML of a pipeline; a file that is there is replaced, or left alone if this fails.

    Args:
        pipeline: At least one step.
        path: Where to.

    Raises:
        KaleError: The name of the file has no suffix of YAML, it cannot be written, or a step is too large.
    """
    if path.suffix not in SUFFIXES:
        raise refuse(
            Code.BAD_FILE_NAME,
            f"a pipeline is written as YAML, not to {path.name!r}",
            f"give a name that ends in .yaml: {path.with_suffix('.yaml').name}",
        )
    text = pipeline_yaml(pipeline)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="ascii")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise refuse(
            Code.BAD_FILE_NAME,
            f"{path} cannot be written: {error.strerror or error}",
            "choose a folder that exists, with room, in which you may write",
        ) from error


def pipeline_yaml(pipeline: Pipeline) -> str:
    """The YAML of a pipeline, in ASCII."""
    import yaml
    from google.protobuf import json_format
    from kfp import dsl

    graph = dsl.pipeline(
        _pipeline_function(pipeline),
        name=pipeline_name(pipeline.name),
        description=pipeline.description or None,
        display_name=pipeline.name,
    )
    documents = [json_format.MessageToDict(graph.pipeline_spec)]
    if graph.platform_spec.platforms:
        documents.append(json_format.MessageToDict(graph.platform_spec))
    # libyaml where PyYAML was built with it: an order of magnitude faster.
    base = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumper: Any = type("Dumper", (base,), {"ignore_aliases": lambda *_: True})
    dumper.add_representer(str, _represent_text)
    text: str = yaml.dump_all(documents, Dumper=dumper, sort_keys=True, width=2**31 - 1)
    return _header(pipeline) + text


def pipeline_name(name: str) -> str:
    """KFP's name of a pipeline: small letters, digits and single dashes."""
    words = naming.encode(name).lower().replace("_", "-").split("-")
    return "-".join(filter(None, words))[:LONGEST_NAME].rstrip("-")


def _represent_text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _header(pipeline: Pipeline) -> str:
    # As KFP's compiler writes it, which reads the description from here.
    lines = [f"Name: {pipeline_name(pipeline.name)}"]
    if pipeline.description:
        lines.append("Description: " + "\n             ".join(pipeline.description.splitlines()))
    if pipeline.parameters:
        lines.append("Inputs:")
    lines += [f"   {p.key}: {p.type} [Default: {json.dumps(p.default)}]" for p in pipeline.parameters]
    text = "\n".join(["PIPELINE DEFINITION", *lines])
    return "".join(f"# {line}\n" for line in text.splitlines()).encode("ascii", "backslashreplace").decode()


def _pipeline_function(pipeline: Pipeline) -> Callable[..., None]:
    """What would be written under `@dsl.pipeline`."""
    components = {step.name: _component(step, pipeline.base_image) for step in pipeline.steps}

    def build(*channels: Any) -> None:
        inputs = {p.key: channel for p, channel in zip(pipeline.parameters, channels, strict=True)}
        tasks: dict[str, Any] = {}
        for step in pipeline.steps:
            arguments = {p.key: inputs[p.key] for p in step.parameters}
            arguments |= {i.key: tasks[i.step].outputs[i.artifact.key] for i in step.inputs}
            task = tasks[step.name] = components[step.name](**arguments)
            task.after(*(tasks[name] for name in step.after))
            if not step.cache or step.varies:
                task.set_caching_options(False)
            if step.attempts.retries:
                delay = f"{round(step.attempts.delay)}s"
                task.set_retry(step.attempts.retries, backoff_duration=delay, backoff_factor=1.0)
            if hasattr(task, "set_display_name"):
                task.set_display_name(step.name)

    build.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # functions may have one
        [_signature_of(parameter) for parameter in pipeline.parameters]
    )
    return build


def _signature_of(parameter: Parameter) -> inspect.Parameter:
    return inspect.Parameter(
        parameter.key,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=hold(parameter.default),
        annotation=ANNOTATIONS[parameter.type],
    )


def _component(step: Step, base_image: str) -> Any:
    from kfp import dsl

    types = ("Artifact", "Dataset", "Input", "Metrics", "Model", "Output")
    # KFP asks for the module of a function, and searches all there are if it has none.
    namespace: dict[str, Any] = {name: getattr(dsl, name) for name in types} | {"__name__": __name__}
    program, filename = render_program(step), f"<program of step {step.name}>"
    linecache.cache[filename] = (len(program), None, program.splitlines(True), filename)
    try:
        exec(compile(program, filename, "exec", dont_inherit=True), namespace)
        return dsl.component(
            namespace[step.key],
            base_image=base_image or default_image(),
            packages_to_install=[_pickler(), *step.packages],
        )
    finally:
        del linecache.cache[filename]


@functools.cache
def _pickler() -> str:
    # What one version of cloudpickle wrote, another one need not understand.
    return f"cloudpickle=={importlib.metadata.version('cloudpickle')}"


def default_image() -> str:
    """The image with the Python that runs here."""
    return f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
