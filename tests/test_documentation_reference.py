"""What is written from the code is current."""

import pytest

from tests.documentation.generated import FILES
from tests.documentation.pages import ROOT


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_from_the_code_is_current(name: str) -> None:
    assert (ROOT / name).read_text() == FILES[name](), f"make reference writes {name} anew"
