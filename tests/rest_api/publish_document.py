"""`python -m tests.rest_api.publish_document`: write the API's document to `docs/reference/openapi.json`."""

import json
from pathlib import Path

from task_manager.application import Application
from task_manager.config import Settings
from task_manager.rest_api.api import create_app

PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"

if __name__ == "__main__":
    document = create_app(Application(Settings())).openapi()
    PUBLISHED.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
