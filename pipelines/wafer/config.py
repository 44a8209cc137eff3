"""What `suite wafer classify` may be told; every default is the one that a newcomer would want."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pipelines.common.config import DeviceName, Strict
from pipelines.wafer.data.limits import DEFAULT, Limits


def _one_is_many(value: Any) -> Any:
    """A single name stands for a list of one."""
    return (value,) if isinstance(value, str) else value


class ReadLimits(Strict):
    """The most that is read, as in `Limits`; every default is of there."""

    max_bytes: int = Field(DEFAULT.max_bytes, ge=1)
    max_dataset_bytes: int = Field(DEFAULT.max_dataset_bytes, ge=1)
    max_defects: int = Field(DEFAULT.max_defects, ge=1)
    max_dies: int = Field(DEFAULT.max_dies, ge=1)
    max_xml_bytes: int = Field(DEFAULT.max_xml_bytes, ge=1)
    max_xml_elements: int = Field(DEFAULT.max_xml_elements, ge=1)
    max_xml_depth: int = Field(DEFAULT.max_xml_depth, ge=1)

    @property
    def limits(self) -> Limits:
        """The most that is read of a file."""
        return Limits(**{field.name: getattr(self, field.name) for field in fields(Limits)})


class ClassifyConfig(ReadLimits):
    """Settings of one classification run.

    model: `auto` (the bundled model that suits each map), a bundled name, or a model folder.
    false_alarm_rate: the share of maps of known classes that may be called novel; None takes the rate
        that is stored with the model.
    alarm_on: `novel` or class names; a run that finds one of them ends with exit code 4.
    diameter_mm: the wafer's diameter taken for files that do not state one.
    batch_maps, batch_defects: the most maps and the most defects that go through the network at once.
    """

    model: str = "auto"
    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    false_alarm_rate: float | None = Field(None, gt=0, lt=1)
    alarm_on: Annotated[tuple[str, ...], BeforeValidator(_one_is_many)] = ()
    diameter_mm: float = Field(300.0, gt=0, le=1000)
    batch_maps: int = Field(256, ge=1, le=65_536)
    batch_defects: int = Field(200_000, ge=1)
