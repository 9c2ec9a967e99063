"""A pipeline as KFP's intermediate representation, a YAML file that needs nothing else.

Every step becomes a lightweight component whose function is the step's program; KFP's own decorators make the
components and the pipeline, as they would if somebody had written all that by hand.
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

from kale_magics.kubeflow.cargo import packages_of, pods_of, with_carrier
from kale_magics.kubeflow.secrecy import refuse_passwords, refuse_secrets
from kale_magics.kubeflow.task_options import default_image, set_options
from kale_magics.model import naming
from kale_magics.model.diagnostics import Code, Where, refuse
from kale_magics.model.pipeline import Parameter, Pipeline, Step
from kale_magics.model.program import Pod, render_program
from kale_magics.step_runtime.parameters import encode_parameter, input_form

SUFFIXES = (".yaml", ".yml")

LONGEST_STEM = 200
"""Characters of a file's name that the file beside it has too, while it is written."""

LONGEST_NAME = 128
"""Characters that KFP takes for the name of a pipeline."""

ANNOTATIONS: dict[str, type] = {
    "int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict, "text": str,
}  # fmt: skip


def compile_pipeline(pipeline: Pipeline, path: Path, folder: Path, secrets: Sequence[str] = ()) -> None:
    """Write the YAML of a pipeline; a file that is there is replaced, or left alone if this fails.

    Args:
        pipeline: At least one step.
        path: Where to.
        folder: That of the notebook, from which steps take files along.
        secrets: Texts that must not stand in it.

    Raises:
        KaleError: The name of the file has no suffix of YAML, it cannot be written, or a step is too large.
    """
    if path.suffix not in SUFFIXES:
        named = path.with_suffix(".yaml").name if path.name else "pipeline.yaml"
        raise refuse(
            Code.BAD_FILE_NAME,
            f"a pipeline is written as YAML, not to {path.name!r}",
            f"give a name that ends in .yaml: {named}",
        )
    text = pipeline_yaml(pipeline, folder, secrets)
    try:
        _write(path.resolve() if path.is_symlink() else path, text)
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a null byte
        raise refuse(
            Code.BAD_FILE_NAME,
            f"{path} cannot be written: {getattr(error, 'strerror', None) or error}",
            "choose a folder that exists, with room, in which you may write",
        ) from error


def _write(path: Path, text: str) -> None:
    """Write a text so that a reader finds the old file or the new one; what is no file is only written to."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="ascii")
        return
    part = path.with_name(f"{path.name[:LONGEST_STEM]}.part")
    try:
        part.write_text(text, encoding="ascii")
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def pipeline_yaml(pipeline: Pipeline, folder: Path, secrets: Sequence[str] = ()) -> str:
    """The YAML of a pipeline, in ASCII; the same for a pipeline that is the same.

    Args:
        pipeline: At least one step.
        folder: That of the notebook, from which steps take files along.
        secrets: Texts that must not stand in it.

    Raises:
        KaleError: A step is too large, or needs what a pod cannot have; a secret would stand in the file.
    """
    import yaml
    from google.protobuf import json_format
    from kfp import dsl

    pipeline = with_carrier(pipeline)
    packages = {step.name: packages_of(step, folder) for step in pipeline.steps}
    for words in (pipeline.environment.index_urls, *packages.values()):
        refuse_passwords(words)
    pods = pods_of(pipeline, folder)
    for step in pipeline.steps:
        what = (step, pods[step.name].files, packages[step.name])
        refuse_secrets(secrets, f"step {step.name}", what, Where(step=step.name))
    rest = "the pipeline's name, description, parameters or settings"
    refuse_secrets(secrets, rest, replace(pipeline, nodes=()))
    graph = dsl.pipeline(
        _pipeline_function(pipeline, pods, packages),
        name=pipeline_name(pipeline.name),
        description=pipeline.description or None,
        display_name=pipeline.name,
        **_configuration(pipeline),
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


def documents(text: str) -> Iterator[dict[str, Any]]:
    """The specification of a pipeline in its YAML, and what follows it."""
    import yaml

    yield from yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


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


def _pipeline_function(
    pipeline: Pipeline, pods: Mapping[str, Pod], packages: Mapping[str, Sequence[str]]
) -> Callable[..., None]:
    """What would be written under `@dsl.pipeline`."""
    components = {
        step.name: _component(step, pods[step.name], packages[step.name], pipeline) for step in pipeline.steps
    }

    def build(*channels: Any) -> None:
        inputs = {p.key: channel for p, channel in zip(pipeline.parameters, channels, strict=False)}
        tasks: dict[str, Any] = {}
        for step in pipeline.steps:
            arguments = {p.key: inputs[p.key] for p in step.parameters}
            arguments |= {i.key: tasks[i.step].outputs[i.output.key] for i in step.inputs}
            giver = pods[step.name].runtime
            arguments |= {"kale_runtime": tasks[giver].outputs["kale_runtime"]} if giver else {}
            arguments |= {"kale_workspace": _workspace_place()} if pods[step.name].shared else {}
            task = tasks[step.name] = components[step.name](**arguments)
            task.after(*(tasks[name] for name in step.after))
            # What is on the volume of one run is in no other.
            if not step.cache or step.nondeterminism or step.options.kubernetes.workspace:
                task.set_caching_options(False)
            set_options(task, step)
            if hasattr(task, "set_display_name"):
                task.set_display_name(step.name)

    build.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # functions may have one
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
    """What the decorator of a pipeline is told if steps use the run's shared volume.

    Raises:
        KaleError: The kfp that is installed knows no such volume.
    """
    users = [step.name for step in pipeline.steps if step.options.kubernetes.workspace]
    if not users:
        return {}
    import kfp
    from kfp import dsl

    if not hasattr(dsl, "WorkspaceConfig"):
        message = f"kfp {kfp.__version__} knows no shared volume of a run, which --workspace asks for"
        fix = "upgrade it here, to 2.15 or newer, or leave out --workspace"
        raise refuse(Code.BAD_STEP_OPTION, message, fix, Where(step=users[0]))
    environment = pipeline.environment
    patch = {"storageClassName": environment.storage_class} if environment.storage_class else {}
    volume = dsl.WorkspaceConfig(environment.workspace_size, dsl.KubernetesWorkspaceConfig(patch))
    return {"pipeline_config": dsl.PipelineConfig(workspace=volume)}


def _component(step: Step, pod: Pod, packages: Sequence[str], pipeline: Pipeline) -> Any:
    from kfp import dsl

    types = ("Artifact", "Dataset", "HTML", "Input", "Metrics", "Model", "Output")
    # KFP asks for the module of a function, and searches all there are if it has none.
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
    # What one version of cloudpickle wrote, another one need not understand.
    return f"cloudpickle=={importlib.metadata.version('cloudpickle')}"
