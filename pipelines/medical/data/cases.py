"""Cases of a data set, as its layout lists them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Case:
    """One patient's images, in the order of the channels, and the label map if there is one."""

    name: str
    images: tuple[Path, ...]
    labels: Path | None


@dataclass(slots=True)
class Listing:
    """What a layout says, before anything is opened."""

    cases: list[Case]
    channels: tuple[str, ...]
    label_names: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def name_apart(listing: Listing) -> None:
    """Give cases of one name a number, so that each can be told from the others."""
    seen: Counter[str] = Counter()
    for number, case in enumerate(listing.cases):
        seen[case.name] += 1
        if seen[case.name] > 1:
            listing.cases[number] = Case(f"{case.name}_{seen[case.name]}", case.images, case.labels)
            again = listing.cases[number].name
            listing.notes.append(f"the name {case.name} is there more than once; one is now {again}")
