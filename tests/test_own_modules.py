"""Modules of the user's own that are edited while a session goes on."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shells import Shell


@pytest.fixture
def shell(kale_shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("edited_scale.py").write_text("FACTOR = 3\n")
    Path("edited_parts").mkdir()
    Path("edited_parts/__init__.py").write_text("")
    Path("edited_parts/one.py").write_text("ONE = 1\n")
    yield kale_shell
    for name in [name for name in sys.modules if name.startswith("edited_")]:
        del sys.modules[name]


def warns(text: str, module: str) -> bool:
    return re.search(rf"^KALE225 step a .*\b{re.escape(module)};", text, re.MULTILINE) is not None


def printed(shell: Shell) -> str:
    return shell.run("%kale_compile p.yaml").printed


def test_a_module_that_has_been_edited_is_pointed_out(shell: Shell) -> None:
    shell.run("%%kale step a\nimport edited_scale\nx = edited_scale.FACTOR")
    shell.run("%%kale step b\ny = x")
    Path("edited_scale.py").touch()
    assert "KALE225" not in printed(shell)
    Path("edited_scale.py").write_text("FACTOR = 40\n")
    told = printed(shell)
    assert warns(told, "edited_scale")
    assert "step b" not in told
    shell.run("import importlib; importlib.reload(edited_scale)")
    assert "KALE225" not in printed(shell)


def test_a_part_of_a_package_that_has_been_edited_is_pointed_out(shell: Shell) -> None:
    shell.run("import edited_parts.one")
    shell.run("%%kale step a\nfrom edited_parts.one import ONE\nx = ONE")
    Path("edited_parts/one.py").write_text("ONE = 2\n")
    assert warns(printed(shell), "edited_parts.one")
    Path("edited_parts/one.py").write_text("ONE = 1\n")
    assert "KALE225" not in printed(shell)
