"""`python -m tests.documentation.generated`: write what is generated."""

from tests.documentation.generated import FILES
from tests.documentation.pages import ROOT

if __name__ == "__main__":
    for name, content in FILES.items():
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_text(content())
