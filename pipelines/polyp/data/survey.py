"""What the labels of a data set hold, without its pixels."""

from __future__ import annotations

from dataclasses import dataclass

from .frames import frames_of
from .record import Dataset, FailedFrame, PolypError
from .splits import groups_of


@dataclass(frozen=True, slots=True)
class Survey:
    """Counts over polyps and their frames.

    sized: polyps of known size, lower bounds among them; censored: those that are bounds. groups: patients,
    or recordings and polyps of unknown patients. frames, with_box, with_mask: over all polyps. bare: frames
    of recordings without any lesion. failed: polyps whose frames cannot be listed, by id, and frames whose
    labels cannot be read. notes: id and what is odd about it.
    """

    polyps: int
    sized: int
    censored: int
    groups: int
    frames: int
    with_box: int
    with_mask: int
    bare: int
    failed: tuple[FailedFrame, ...]
    notes: tuple[tuple[str, str], ...]

    def sentence(self) -> str:
        """The counts in words for the user."""
        text = (
            f"{self.polyps:,} polyps of {self.groups:,} patients or recordings, {self.sized:,} of known size"
        )
        if self.censored:
            text += f" ({self.censored:,} of these as a lower bound)"
        text += (
            f", {self.frames:,} frames of them, {self.with_box:,} with a box, {self.with_mask:,} with a mask"
        )
        if self.bare:
            text += f", {self.bare:,} frames without a lesion"
        return text + (f", {len(self.failed):,} that cannot be read" if self.failed else "")


def survey(dataset: Dataset) -> Survey:
    """Count polyps and frames and find what is odd; opens all label files, and the headers of videos.

    Never fails for a single polyp or frame. Takes about a second for 10,000 annotated frames.
    """
    frames = boxes = masks = bare = 0
    failed: list[FailedFrame] = []
    notes: dict[tuple[str, str], None] = {}
    for polyp in dataset.polyps:
        try:
            listing = frames_of(polyp)
        except PolypError as error:
            failed.append(FailedFrame(polyp.id, str(error)))
            continue
        frames += len(listing.frames)
        boxes += sum(one.box is not None for one in listing.frames)
        masks += sum(one.mask is not None for one in listing.frames)
        failed += listing.failed
        notes |= dict.fromkeys((polyp.id, note) for note in listing.notes)
        notes |= dict.fromkeys((one.name, note) for one in listing.frames for note in one.notes)
    for recording in dataset.recordings:
        try:
            listing = frames_of(recording)
        except PolypError as error:
            failed.append(FailedFrame(recording.id, str(error)))
            continue
        bare += sum(not one.others for one in listing.frames)
        failed += listing.failed
    return Survey(
        len(dataset.polyps),
        sum(one.size_mm is not None for one in dataset.polyps),
        sum(one.censored for one in dataset.polyps),
        len(set(groups_of(dataset.polyps))),
        frames,
        boxes,
        masks,
        bare,
        tuple(dict.fromkeys(failed)),  # polyps of one recording share what failed in it
        tuple(notes),
    )
