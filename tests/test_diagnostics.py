"""The catalogue of diagnostics: each code has an entry, each example shows its code, the page is current."""

from __future__ import annotations

import pytest

from kale_magics.model.diagnostics import Code
from tests import catalogue
from tests.catalogue import DIAGNOSTIC, output_of
from tests.diagnostic_examples import CATALOGUE, FAMILIES

pytestmark = pytest.mark.usefixtures("quick_retries")


def test_every_code_is_in_the_catalogue_and_in_a_family() -> None:
    assert list(CATALOGUE) == list(Code)
    assert [code for code in Code if code.code[:-2] not in FAMILIES] == []


def test_no_two_codes_are_the_same() -> None:
    assert len({code.code for code in Code}) == len(Code)
    assert len({code.meaning for code in Code}) == len(Code)


@pytest.mark.parametrize("code", CATALOGUE, ids=lambda code: code.code)
def test_an_example_shows_its_code_and_no_other(code: Code) -> None:
    output = output_of(code)
    assert DIAGNOSTIC.findall(output.text) == [code.code], output.before
    assert "\n  fix: " in output.text
    assert not DIAGNOSTIC.search(output.before)


def test_the_page_is_current() -> None:
    assert catalogue.PAGE.read_text(encoding="utf-8") == catalogue.page(), "make docs"
