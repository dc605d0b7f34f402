"""Files that people write: what is read from them."""

from pathlib import Path

import pytest

from task_manager.documents import read_document


@pytest.mark.parametrize("key", ["on", "off", "yes", "no", "y", "true", "On"])
def test_a_key_that_yaml_takes_for_a_truth_value_is_a_name(tmp_path: Path, key: str) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(f"retry:\n  {key}: [memory]\n  other: yes\n")
    found = read_document(path)
    assert found.data == {"retry": {key: ["memory"], "other": True}}
    assert found.line(("retry", key)) == 2
