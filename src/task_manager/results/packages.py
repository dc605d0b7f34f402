"""What was built."""

from __future__ import annotations

from pydantic import Field

from task_manager.results.parts import Metric, Part
from task_manager.results.wording import size_text


class BuiltPackage(Part):
    """A wheel.

    Attributes:
        file: Its name.
        size: In bytes.
        digest: `sha256:…`.
        tags: What it runs on, such as `py3-none-any`.
    """

    artifact: str
    file: str
    name: str
    version: str
    size: int = Field(ge=0)
    digest: str
    requires_python: str = ""
    tags: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """`textkit-0.1.0-py3-none-any.whl (9.1 kB)`."""
        return f"{self.file} ({size_text(self.size)})"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """How large it is."""
        return (Metric(name=f"{self.name}.size", value=self.size, unit="bytes"),)
