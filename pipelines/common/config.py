"""What all settings that a user may write have in common."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


class Strict(BaseModel):
    """Refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _check_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError("give auto, cpu, cuda, or cuda:N for one of several GPUs")
    return name


DeviceName = Annotated[str, AfterValidator(_check_device)]
