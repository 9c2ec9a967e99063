"""Compiles a pipeline to KFP's intermediate representation: a YAML file that needs no other file.

Every step becomes a lightweight component whose function is the step's program. KFP's own decorators make the
components and the pipeline, as if they were written by hand.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import inspect
import json
import linecache
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kale_magics.kubeflow.pod_contents import packages_of, pods_of, with_runtime_steps
from kale_magics.kubeflow.secret_scan import check_passwords, check_secrets
from kale_magics.kubeflow.task_options import default_image, set_options
from kale_magics.kubeflow.workflow_size import (
    MAX_UNWARNED,
    MIN_STEP,
    PROGRAM_COPIES,
    size_problem,
    workflow_size,
)
from kale_magics.model import naming
from kale_magics.model.diagnostics import Code, Diagnostic, KaleError, Where, kale_error
from kale_magics.model.pipeline import Parameter, Pipeline, Step
from kale_magics.model.program import PodOptions, render_program, runtime_loader
from kale_magics.step_runtime.parameters import encode_parameter, input_form

SUFFIXES = (".yaml", ".yml")

MAX_STEM = 200
"""Characters of a file's name in the name of the temporary file that is written first."""

MAX_PIPELINE_NAME = 128
"""Characters of the name of a pipeline in KFP."""

ANNOTATIONS: dict[str, type] = {
    "int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict, "text": str,
}  # fmt: skip


def compile_pipeline(pipeline: Pipeline, path: Path, folder: Path, secrets: Sequence[str] = ()) -> None:
    """Write the YAML of a pipeline; an existing file is replaced, or kept if this fails.

    Args:
        pipeline: At least one step.
        path: The file.
        folder: The notebook's folder, which the files of steps are relative to.
        secrets: Texts that must not be in it.

    Raises:
        KaleError: The name of the file has no suffix of YAML, it cannot be written, or a step is too large.
    """
    if path.suffix not in SUFFIXES:
        named = path.with_suffix(".yaml").name if path.name else "pipeline.yaml"
        raise kale_error(
            Code.BAD_FILE_NAME,
            f"{path.name!r} is not the name of a YAML file",
            f"choose a name that ends in .yaml, such as {named}",
        )
    text = pipeline_yaml(pipeline, folder, secrets)
    try:
        _write(path.resolve() if path.is_symlink() else path, text)
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a null byte
        raise kale_error(
            Code.BAD_FILE_NAME,
            f"{path} cannot be written: {getattr(error, 'strerror', None) or error}",
            "choose an existing folder with free space and write permission",
        ) from error


def _write(path: Path, text: str) -> None:
    """Write a text so that a reader finds the old file or the new one; a device is only written to."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="ascii")
        return
    part = path.with_name(f"{path.name[:MAX_STEM]}.part")
    try:
        part.write_text(text, encoding="ascii")
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def pipeline_yaml(pipeline: Pipeline, folder: Path, secrets: Sequence[str] = ()) -> str:
    """Return the YAML of a pipeline, in ASCII; equal for equal pipelines.

    Args:
        pipeline: At least one step.
        folder: The notebook's folder, which the files of steps are relative to.
        secrets: Texts that must not be in it.

    Raises:
        KaleError: A step is too large, or needs what a pod cannot have; a secret would be in the file.
    """
    import yaml

    # libyaml where PyYAML was built with it: an order of magnitude faster.
    base = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumper: Any = type("Dumper", (base,), {"ignore_aliases": lambda *_: True})
    dumper.add_representer(str, _represent_text)
    found = specifications(pipeline, folder, secrets)
    text: str = yaml.dump_all(found, Dumper=dumper, sort_keys=True, width=2**31 - 1)
    return _header(pipeline) + text


def specifications(pipeline: Pipeline, folder: Path, secrets: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the specification of a pipeline, and that of the platform if it needs one.

    They are compact if the cluster's object would become large otherwise.

    Args:
        pipeline: At least one step.
        folder: The notebook's folder, which the files of steps are relative to.
        secrets: Texts that must not be in it.

    Raises:
        KaleError: A step is too large, or needs what a pod cannot have; a secret would be in the file.
    """
    smallest = PROGRAM_COPIES * len(runtime_loader()) + MIN_STEP * len(pipeline.steps)
    if smallest <= MAX_UNWARNED:
        found = _specifications(pipeline, folder, secrets, compact=False)
        if workflow_size(found).total <= MAX_UNWARNED:
            return found
    return _specifications(pipeline, folder, secrets, compact=True)


def size_problems(pipeline: Pipeline, folder: Path) -> list[Diagnostic]:
    """Return a warning if runs of a pipeline may become too large for a cluster, an error if they do.

    Args:
        pipeline: The pipeline; none if it cannot be compiled, which its compilation reports.
        folder: The notebook's folder, which the files of steps are relative to.
    """
    try:
        size = workflow_size(specifications(pipeline, folder))
    except KaleError:
        return []
    found = size_problem(size, [step.name for step in pipeline.steps])
    return [found] if found else []


def _specifications(
    pipeline: Pipeline, folder: Path, secrets: Sequence[str], compact: bool
) -> list[dict[str, Any]]:
    from google.protobuf import json_format
    from kfp import dsl

    pipeline = with_runtime_steps(pipeline, compact)
    packages = {step.name: packages_of(step, folder) for step in pipeline.steps}
    for words in (pipeline.environment.index_urls, *packages.values()):
        check_passwords(words)
    pods = pods_of(pipeline, folder, compact)
    for step in pipeline.steps:
        what = (step, pods[step.name].files, packages[step.name])
        check_secrets(secrets, f"step {step.name}", what, Where(step=step.name))
    rest = "the pipeline's name, description, parameters or settings"
    check_secrets(secrets, rest, replace(pipeline, nodes=()))
    graph = dsl.pipeline(
        _pipeline_function(pipeline, pods, packages),
        name=pipeline_name(pipeline.name),
        description=pipeline.description or None,
        display_name=pipeline.name,
        **_configuration(pipeline),
    )
    found = [json_format.MessageToDict(graph.pipeline_spec)]
    if graph.platform_spec.platforms:
        found.append(json_format.MessageToDict(graph.platform_spec))
    return found


def documents(text: str) -> Iterator[dict[str, Any]]:
    """Yield the specification of a pipeline in its YAML, and that of the platform if there is one."""
    import yaml

    yield from yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def pipeline_name(name: str) -> str:
    """Return KFP's name of a pipeline: lower-case letters, digits and single dashes."""
    words = naming.encode(name).lower().replace("_", "-").split("-")
    return "-".join(filter(None, words))[:MAX_PIPELINE_NAME].rstrip("-")


def _represent_text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _header(pipeline: Pipeline) -> str:
    # KFP's compiler writes the same header, and reads the description from it.
    lines = [f"Name: {pipeline_name(pipeline.name)}"]
    if pipeline.description:
        lines.append("Description: " + "\n             ".join(pipeline.description.splitlines()))
    if pipeline.parameters:
        lines.append("Inputs:")
    lines += [f"   {p.key}: {p.type} [Default: {json.dumps(p.default)}]" for p in pipeline.parameters]
    text = "\n".join(["PIPELINE DEFINITION", *lines])
    return "".join(f"# {line}\n" for line in text.splitlines()).encode("ascii", "backslashreplace").decode()


def _pipeline_function(
    pipeline: Pipeline, pods: Mapping[str, PodOptions], packages: Mapping[str, Sequence[str]]
) -> Callable[..., None]:
    """Return the function that would be written under `@dsl.pipeline`."""
    components = {
        step.name: _component(step, pods[step.name], packages[step.name], pipeline) for step in pipeline.steps
    }

    def build(*channels: Any) -> None:
        inputs = {p.key: channel for p, channel in zip(pipeline.parameters, channels, strict=False)}
        tasks: dict[str, Any] = {}
        before: Any = None
        for step in pipeline.steps:
            arguments = {p.key: inputs[p.key] for p in step.parameters}
            arguments |= {i.key: tasks[i.step].outputs[i.output.key] for i in step.inputs}
            source = pods[step.name].runtime
            arguments |= {"kale_runtime": tasks[source].outputs["kale_runtime"]} if source else {}
            if pods[step.name].part > 1:
                arguments |= {"kale_runtime_part": before.outputs["kale_runtime"]}
            arguments |= {"kale_workspace": _workspace_place()} if pods[step.name].shared else {}
            before = task = tasks[step.name] = components[step.name](**arguments)
            task.after(*(tasks[name] for name in step.after))
            # Other runs do not have the volume of this run.
            if not step.cache or step.nondeterminism or step.options.kubernetes.workspace:
                task.set_caching_options(False)
            set_options(task, step)
            if hasattr(task, "set_display_name"):
                task.set_display_name(step.name)

    build.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # functions may have this attribute
        [
            inspect.Parameter(key, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=value, annotation=kind)
            for key, kind, value in map(_input, pipeline.parameters)
        ]
    )
    return build


def _input(parameter: Parameter) -> tuple[str, type, Any]:
    return (
        parameter.key,
        ANNOTATIONS[input_form(parameter.type)],
        encode_parameter(parameter.default, parameter.type),
    )


def _workspace_place() -> str:
    from kfp import dsl

    return str(dsl.WORKSPACE_PATH_PLACEHOLDER)


def _configuration(pipeline: Pipeline) -> dict[str, Any]:
    """Return the arguments of the pipeline's decorator for the run's shared volume, if steps use it."""
    if not any(step.options.kubernetes.workspace for step in pipeline.steps):
        return {}
    from kfp import dsl

    environment = pipeline.environment
    patch: dict[str, Any] = {"accessModes": list(environment.workspace_access_modes)}
    patch |= {"storageClassName": environment.storage_class} if environment.storage_class else {}
    volume = dsl.WorkspaceConfig(environment.workspace_size, dsl.KubernetesWorkspaceConfig(patch))
    return {"pipeline_config": dsl.PipelineConfig(workspace=volume)}


def _component(step: Step, pod: PodOptions, packages: Sequence[str], pipeline: Pipeline) -> Any:
    from kfp import dsl

    types = ("Artifact", "Dataset", "HTML", "Input", "Metrics", "Model", "Output")
    # KFP searches all modules for a function without a module.
    namespace: dict[str, Any] = {name: getattr(dsl, name) for name in types} | {"__name__": __name__}
    program, filename = render_program(step, pod), f"<program of step {step.name}>"
    linecache.cache[filename] = (len(program), None, program.splitlines(True), filename)
    environment = pipeline.environment
    try:
        exec(compile(program, filename, "exec", dont_inherit=True), namespace)
        return dsl.component(
            namespace[step.key],
            base_image=step.options.image or environment.image or default_image(),
            packages_to_install=[_pickler(), *packages],
            pip_index_urls=list(environment.index_urls) or None,
            pip_trusted_hosts=list(environment.trusted_hosts),
        )
    finally:
        del linecache.cache[filename]


@functools.cache
def _pickler() -> str:
    # One version of cloudpickle may not read what another one wrote.
    return f"cloudpickle=={importlib.metadata.version('cloudpickle')}"
