"""Generates the program of a step: the source of one function, for a pod or the local engine.

    def train(lr: float, in_df: Input[Dataset], out_model: Output[Model]):
        arguments = {**locals()}
        import ast, base64, importlib
        step = {...}             # the step, in literals; the user's code line by line
        loader = '...'           # source that loads `step_runtime`, or a file with it
        exec(loader, runtime := {})
        runtime['run_step'](step, arguments)

In a program, KFP replaces `{{$...}}`, Argo `{{...}}`, and Kubernetes `$(...)` and `$$`. So no such pair of
characters is in it: in literals, one of them is escaped.
"""

from __future__ import annotations

import ast
import base64
import functools
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from kale_magics import step_runtime
from kale_magics.model.diagnostics import Code as ErrorCode
from kale_magics.model.diagnostics import Where, kale_error
from kale_magics.model.pipeline import CodeBlock, Step
from kale_magics.step_runtime.parameters import input_form

MAX_PROGRAM = 120_000
"""Bytes: Linux limits an argument to 128 KiB, and KFP adds some lines of its own."""

LZMA = b"\xfd"
"""The first byte of data compressed by `lzma`; that of `zlib` is another."""

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time in a ZIP."""

MAX_READABLE = 20_000
"""Bytes of a pod's program with uncompressed literals: a cluster stores several copies, in which a quote or a
newline takes two bytes, and `<` six."""

MAX_COMPACT = 1_500
"""Bytes of such a program in a compact pipeline. Shorter programs resemble each other so much that Argo's
compression shortens their text more than text that is already compressed."""

RUNTIME_PARTS = 2
"""Steps among which a compact pipeline divides the runtime. Argo compresses what repeats within 32 KB, so the
parts take less space than the whole."""

MAX_WIDTH = 90
"""Characters of a list or a dict on one line."""

OMITTED_MODULES = ("__future__", "collections.abc", "typing", "kale_magics")
"""Imports that the runtime needs only for annotations, or that are in its own source."""


@dataclass(frozen=True)
class PodOptions:
    """Options of a step's program for a pod.

    Attributes:
        files: Files for its working directory, by relative path.
        report: Whether it writes a report, as an additional output `report`.
        shared: The paths of inputs and outputs on the run's shared volume, by key; an additional parameter,
            `kale_workspace`, has the path of the volume.
        runtime: The step that outputs the source of `step_runtime`, which is an additional input,
            `kale_runtime`; empty if the source is in the program.
        outputs_runtime: Whether it outputs that source, as an additional output `kale_runtime`.
        part: Which part of the compressed source the program has, from 1; 0 for all of it. All but the first
            get the parts before it as an additional input, `kale_runtime_part`; the last outputs the source.
        compact: Whether the code is compressed also in shorter programs.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    report: bool = False
    shared: Mapping[str, str] = field(default_factory=dict)
    runtime: str = ""
    outputs_runtime: bool = False
    part: int = 0
    compact: bool = False


def render_program(step: Step, pod: PodOptions | None = None) -> str:
    """Return the program of a step, in ASCII.

    Args:
        step: The step; its keys are distinct identifiers, and none is in `naming.RESERVED`.
        pod: The options for a pod; None on this machine.

    Returns:
        Python source of a function with the name `step.key`. Its arguments are the keys of the step's
        parameters, inputs and outputs, `metrics` if the step logs any, and those that `pod` adds.

    Raises:
        KaleError: The program is too large for an argument of a process.
    """
    spec = specification(step, pod)
    text = literal(spec, 1)
    if pod is not None and pod.compact:
        text = re.sub(r"\n +", "", text)
    program = _assemble(step, f"step = {text}", pod)
    if len(program) > (MAX_PROGRAM if pod is None else MAX_COMPACT if pod.compact else MAX_READABLE):
        packed = _pack(repr(spec).encode("utf-8", "backslashreplace"))
        program = _assemble(step, f"step = ast.literal_eval({packed}.decode())", pod)
    if len(program) > MAX_PROGRAM:
        packed = _pack(repr(spec).encode("utf-8", "backslashreplace"), "lzma")
        program = _assemble(step, f"step = ast.literal_eval({packed}.decode())", pod, "lzma")
    if len(program) > MAX_PROGRAM:
        raise _too_large(step, pod)
    return program


def _too_large(step: Step, pod: PodOptions | None) -> Exception:
    message = f"the code of step {step.name} is larger than {MAX_PROGRAM:,} bytes, even compressed"
    fix = "load long texts and tables from a file or a URL instead of writing them in a cell"
    if pod and sum(map(len, pod.files.values())) > MAX_PROGRAM // 2:
        largest = sorted(pod.files, key=lambda name: -len(pod.files[name]))[:3]
        names = ", ".join(f"{name} ({len(pod.files[name]):,} bytes)" for name in largest)
        message = f"the files and modules of step {step.name} exceed {MAX_PROGRAM:,} bytes: {names}"
        fix = "put large files on a volume (--pvc) or in a store, and large modules in the image (--image)"
    return kale_error(ErrorCode.PROGRAM_TOO_LARGE, message, fix, Where(step=step.name))


def read_specification(program: str) -> dict[str, Any]:
    """Return the specification of the step in a program of `render_program`, also after KFP's imports.

    Raises:
        ValueError: It is not such a program.
    """
    try:
        functions = [node for node in ast.parse(program).body if isinstance(node, ast.FunctionDef)]
        body = functions[-1].body if functions else []
        value = next(n.value for n in body if isinstance(n, ast.Assign) and _name_of(n) == "step")
        if isinstance(value, ast.Call):
            texts = (str(n.value) for n in ast.walk(value) if isinstance(n, ast.Constant))
            data = base64.b64decode(max(texts, key=len))
            unpack = import_module("lzma" if data[:1] == LZMA else "zlib").decompress
            return dict(ast.literal_eval(unpack(data).decode()))
        return dict(ast.literal_eval(value))
    except (SyntaxError, IndexError, StopIteration, TypeError, zlib.error) as error:
        raise ValueError("not the program of a step") from error


def _name_of(statement: ast.Assign) -> str:
    target = statement.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


def specification(step: Step, pod: PodOptions | None = None) -> dict[str, Any]:
    """Return the specification of a step for `step_runtime.runtime.run_step`."""

    def pieces(codes: tuple[CodeBlock, ...]) -> list[tuple[str, str, dict[str, str]]]:
        # Cells get new numbers when they run again; a cluster reuses a result only for the same text.
        names = [code.place if pod else code.filename for code in codes]
        return [(name, code.source, dict(code.defines)) for name, code in zip(names, codes, strict=True)]

    optional: dict[str, Any] = (
        {} if pod is None else {"pod": archive(pod.files), "report": pod.report, "shared": dict(pod.shared)}
    )
    if pod is not None and step.attempts.retries:
        optional["attempts"] = (step.attempts.retries, step.attempts.delay, step.attempts.timeout)
    if step.submodules:
        optional["submodules"] = list(step.submodules)
    if step.late:
        optional["late"] = dict(step.late)
    return optional | {
        "step": step.name,
        "parameters": {p.key: (p.name, p.default, p.type) for p in step.parameters},
        "inputs": {i.key: list(i.names) for i in step.inputs},
        "outputs": {a.key: list(a.names) for a in step.outputs},
        "metrics": list(step.metrics),
        "setup": pieces(step.setup),
        "cells": pieces(step.cells),
    }


def archive(files: Mapping[str, bytes]) -> str:
    """Return files as a ZIP in base64, the same for the same files; empty for none."""
    if not files:
        return ""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for name in sorted(files):
            out.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), files[name], zipfile.ZIP_DEFLATED, 9)
    return base64.b64encode(memory.getvalue()).decode()


def literal(value: Any, depth: int = 0) -> str:
    """Return a Python literal in ASCII, without text that KFP or Kubernetes would replace.

    Args:
        value: A value of JSON, or a tuple; a text of several lines becomes one literal for each line.
        depth: The indentation, in steps of four spaces.
    """
    inner = "\n" + "    " * (depth + 1)
    if isinstance(value, str):
        lines = value.splitlines(keepends=True) or [""]
        return f"({inner}{inner.join(map(_text, lines))})" if len(lines) > 1 else _text(value)
    if isinstance(value, float):
        return repr(value).replace("inf", "1e999")
    if not isinstance(value, (dict, list, tuple)):
        return repr(value)
    left, right = {dict: ("{", "}"), list: ("[", "]")}.get(type(value), ("(", ")"))
    items = [f"{item}," for item in _items(value, depth + 1)]
    flat = " ".join(items)
    if len(flat) > MAX_WIDTH or "\n" in flat:
        return f"{left}{inner}{inner.join(items)}{inner[:-4]}{right}"
    flat = flat if isinstance(value, tuple) and len(value) == 1 else flat.rstrip(",")
    return f"{left}{flat}{' ' * (flat[-1:] == right == '}')}{right}"


def _items(value: dict[str, Any] | list[Any] | tuple[Any, ...], depth: int) -> Iterator[str]:
    if isinstance(value, dict):
        return (f"{_text(key)}: {literal(item, depth)}" for key, item in value.items())
    return (literal(item, depth) for item in value)


def _text(text: str) -> str:
    text = ascii(text).replace("{{", r"{\x7b").replace("}}", r"}\x7d")
    return text.replace("$$", r"$\x24").replace("$(", r"\x24(")


def _assemble(step: Step, spec: str, pod: PodOptions | None, module: str = "zlib") -> str:
    pod = pod or PodOptions()
    imports = "\n    import ast, base64, importlib" * spec.startswith("step = ast.")
    return f"""\
def {step.key}({_signature(step, pod)}):
    arguments = {{**locals()}}{imports}
    {spec}
    {_load(pod, module)}
"""


def _load(pod: PodOptions, module: str) -> str:
    """Return the statements that get the loader of the runtime, output it where asked, and run the step."""
    run = "exec(loader, runtime := {})\n    runtime['run_step'](step, arguments)"
    read = "with open({}.path) as file: loader = file.read()"
    write = "with open(kale_runtime.path, 'w') as file: file.write(loader)"
    if pod.runtime:
        return f"{read.format('kale_runtime')}\n    {run}"
    if pod.part:
        text = runtime_loader("bz2")
        length = -(-len(text) // RUNTIME_PARTS)
        part = repr(text[(pod.part - 1) * length : pod.part * length])
        before = f"{read.format('kale_runtime_part')} + {part}" if pod.part > 1 else f"loader = {part}"
        return "\n    ".join([before, write, run] if pod.part == RUNTIME_PARTS else [before, write])
    return "\n    ".join([f"loader = {runtime_loader(module)!r}", *[write] * pod.outputs_runtime, run])


def _signature(step: Step, pod: PodOptions) -> str:
    inputs = [f"{p.key}: {input_form(p.type).replace('text', 'str')}" for p in step.parameters]
    inputs += [f"{i.key}: Input[{i.output.kind}]" for i in step.inputs]
    inputs += ["kale_workspace: str"] * bool(pod.shared)
    inputs += ["kale_runtime: Input[Artifact]"] * bool(pod.runtime)
    inputs += ["kale_runtime_part: Input[Artifact]"] * (pod.part > 1)
    outputs = [f"{a.key}: Output[{a.kind}]" for a in step.outputs]
    outputs += ["metrics: Output[Metrics]"] * bool(step.metrics) + ["report: Output[HTML]"] * pod.report
    outputs += ["kale_runtime: Output[Artifact]"] * pod.outputs_runtime
    return ", ".join([*inputs, *outputs])


def _pack(text: bytes, module: str = "zlib") -> str:
    """Return an expression for a text; `lzma`, which some Pythons lack, makes it shorter than `zlib`."""
    packed = base64.b64encode(_compressed(text, module)).decode()
    return f"importlib.import_module('{module}').decompress(base64.b64decode('{packed}'))"


def _compressed(text: bytes, module: str) -> bytes:
    if module == "zlib":
        return zlib.compress(text, 9)
    if module == "bz2":  # smaller than both for the runtime, and a part of all common images
        import bz2

        return bz2.compress(text, 9)
    import lzma

    return lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)


@functools.cache
def runtime_source() -> str:
    """Return the source of `step_runtime`, minified."""
    folder = Path(step_runtime.__file__).parent
    texts = [(folder / f"{name}.py").read_text(encoding="utf-8") for name in step_runtime.MODULES]
    return "\n".join(map(minify, texts))


@functools.cache
def packed_runtime(module: str = "zlib") -> str:
    """Return the source of `step_runtime`, compressed by a module, in base64."""
    return base64.b64encode(_compressed(runtime_source().encode(), module)).decode()


def runtime_loader(module: str = "zlib") -> str:
    """Return source that defines `run_step` of the runtime, which it has compressed by a module."""
    return f"""\
import base64, builtins, {module}
runtime = {{'__name__': 'kale_step_runtime', '__builtins__': dict(vars(builtins))}}
source = {module}.decompress(base64.b64decode('{packed_runtime(module)}'))
exec(compile(source, '<kale step runtime>', 'exec'), runtime)
run_step = runtime['run_step']
"""


def minify(source: str) -> str:
    """Remove comments, docstrings, annotations and their imports from a module of the runtime."""
    return ast.unparse(ast.fix_missing_locations(_Minifier().visit(ast.parse(source))))


class _Minifier(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        module = node.module or ""
        return None if any(module == m or module.startswith(m + ".") for m in OMITTED_MODULES) else node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value else None

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._with_body(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self._with_body(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._with_body(node)

    def _with_body(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node
