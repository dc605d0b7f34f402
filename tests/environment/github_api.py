"""GitHub's own description of its API, of which tests need one operation."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.environment import cache
from tests.environment.node import install_packages

_FOLDER: Final = Path(__file__).parent / "github"
_DESCRIPTION: Final = "node_modules/@octokit/openapi/generated/api.github.com.deref.json"
STATUS_PATH: Final = "/repos/{owner}/{repo}/statuses/{sha}"


def create_status() -> dict[str, Any]:
    """Returns the operation that creates the status of a commit, as OpenAPI describes it.

    Of the package, which is large, only this is kept.
    """

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            for file in _FOLDER.iterdir():
                shutil.copy(file, scratch)
            install_packages(Path(scratch))
            operation = json.loads((Path(scratch) / _DESCRIPTION).read_text())["paths"][STATUS_PATH]["post"]
        (folder / "operation.json").write_text(json.dumps(operation))

    folder = cache.built_once("github-api", cache.digest_of((_FOLDER / "package-lock.json").read_bytes()), build)
    operation: dict[str, Any] = json.loads((folder / "operation.json").read_text())
    return operation
