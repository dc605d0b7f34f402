"""Which runs the cache may answer, and whose results it keeps: `CachePolicy` of a pipeline."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_YEAR = 366 * 24 * 3600

Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class CacheMode(StrEnum):
    """Whether results are kept and used again."""

    AUTO = "auto"
    """Those of pipelines whose steps all may be answered from earlier ones; of functions none."""
    ALWAYS = "always"
    """Also those of functions, and of pipelines with a step that is declared `cache: never`."""
    NEVER = "never"
    """None."""


class WorkflowCachePolicy(BaseModel):
    """How the results of a pipeline's runs are kept and used again; part of its definition."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    mode: CacheMode = CacheMode.AUTO
    longer_than: float | None = Field(
        None, ge=0, le=_YEAR, description="Keep only what took longer than so many seconds; none: the setting's."
    )
    failures: float = Field(
        0, ge=0, le=_YEAR, description="Seconds for which a failed run is kept; 0: only successful ones are."
    )
    ttl: float | None = Field(None, gt=0, le=_YEAR, description="Seconds a result is kept; none: the setting's.")
    branches: tuple[Tag, ...] = Field(
        (), description="Keep only what runs on these git branches of the source folder give; empty: on any."
    )
    tags: tuple[Tag, ...] = Field((), description="Names by which entries are found and removed.")
