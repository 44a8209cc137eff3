"""Which files are the images of one case, told by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from .files import VolumeFile, find_volumes
from .walk import SkippedFile

NUMBERED: Final = re.compile(r"(.+)_(\d{4})")  # nnU-Net: case_0000 is the first channel of a case


@dataclass(frozen=True, slots=True)
class FoundCase:
    """The volumes of one case, in the order of the channels; not yet read."""

    name: str
    images: tuple[VolumeFile, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one folder that belong together.

    members: for each pattern the number of its file, None if there is none. problem: why they are no case;
    empty if they are.
    """

    name: str
    folder: Path
    members: tuple[int | None, ...]
    problem: str = ""


def find_cases(paths: Iterable[str | Path], channels: Sequence[str]) -> Iterator[FoundCase | SkippedFile]:
    """The cases among files and folders, for a model that needs these channels.

    With one channel each volume is a case. With several, files named `case_0000`, `case_0001` are the
    channels of `case`, as for nnU-Net; other files are matched with the channels by name (see `matches`),
    folder by folder. What lacks a channel is a SkippedFile that counts as named.
    """
    if len(channels) == 1:
        for item in find_volumes(paths):
            yield FoundCase(item.name, (item,)) if isinstance(item, VolumeFile) else item
        return
    volumes = []
    for item in find_volumes(paths):
        if isinstance(item, VolumeFile):
            volumes.append(item)
        else:
            yield item
    taken: set[int | None] = set()
    for group in group_files([(one.path.parent, one.name) for one in volumes], channels):
        if group.problem:
            yield SkippedFile(group.folder, f"{group.name}: {group.problem}", named=True)
        else:
            yield FoundCase(group.name, tuple(volumes[one] for one in group.members if one is not None))
        taken.update(group.members)
    for number, one in enumerate(volumes):
        if number not in taken:
            yield SkippedFile(one.path, "its name is that of none of the model's channels")


def matches(pattern: str, name: str) -> bool:
    """Whether a file of this case name holds a channel.

    A pattern with `*`, `?` or `[` must match the name; without, the words of the pattern must be words of the
    name, so that `t1` is in `patient_t1` and not in `patient_t1ce`. Large and small letters are one.
    """
    pattern, name = pattern.casefold(), name.casefold()
    if re.search(r"[*?\[]", pattern):
        return fnmatchcase(name, pattern)
    wanted, words = _words(pattern), _words(name)
    return any(words[start : start + len(wanted)] == wanted for start in range(len(words) - len(wanted) + 1))


def plain_name(pattern: str) -> str:
    """What a channel is called: its pattern without wildcards, such as `Flair` for `Flair*`."""
    return re.sub(r"[*?\[\]]", "", pattern).strip("_-. ") or pattern


def group_files(named: Sequence[tuple[Path, str]], patterns: Sequence[str], optional: int = 0) -> list[Group]:
    """Cases among files, given as folder and case name. The last `optional` patterns may have no file."""
    folders: dict[Path, list[int]] = defaultdict(list)
    for number, (folder, _) in enumerate(named):
        folders[folder].append(number)
    groups: list[Group] = []
    for folder, numbers in folders.items():
        names = {number: named[number][1] for number in numbers}
        if all(NUMBERED.fullmatch(name) for name in names.values()):
            groups += _numbered(folder, names, len(patterns), optional)
        else:
            groups += _matched(folder, names, patterns, optional)
    return groups


def _numbered(folder: Path, names: dict[int, str], count: int, optional: int) -> Iterator[Group]:
    cases: dict[str, dict[int, int]] = defaultdict(dict)
    for number, name in names.items():
        parts = NUMBERED.fullmatch(name)
        assert parts is not None
        cases[parts[1]][int(parts[2])] = number
    for case, members in cases.items():
        lacking = [f"_{one:04d}" for one in range(count - optional) if one not in members]
        extra = [f"_{one:04d}" for one in sorted(members) if one >= count]
        problem = f"{' and '.join(lacking)} is missing" if lacking else ""
        problem = problem or (f"{extra[0]} is one channel more than the {count} needed" if extra else "")
        yield Group(case, folder, tuple(members.get(one) for one in range(count)), problem)


def _matched(folder: Path, names: dict[int, str], patterns: Sequence[str], optional: int) -> Iterator[Group]:
    """One case if no pattern has two files in the folder, else one for each rest of the names."""
    found = {number: pattern for number, name in names.items() if (pattern := _best(patterns, name))}
    if not found:
        return
    whole = {pattern: [number for number, one in found.items() if one == pattern] for pattern in patterns}
    if all(len(numbers) <= 1 for numbers in whole.values()):
        yield _group(folder.resolve().name, folder, whole, patterns, optional, names)
        return
    cases: dict[str, dict[str, list[int]]] = defaultdict(lambda: {pattern: [] for pattern in patterns})
    for number, pattern in found.items():
        cases[_rest(pattern, names[number])][pattern].append(number)
    groups = [
        _group(rest or folder.resolve().name, folder, members, patterns, optional, names)
        for rest, members in cases.items()
    ]
    if all(group.problem for group in groups):
        groups = [_group(folder.resolve().name, folder, whole, patterns, optional, names)]
    yield from groups


def _group(
    name: str,
    folder: Path,
    members: dict[str, list[int]],
    patterns: Sequence[str],
    optional: int,
    names: dict[int, str],
) -> Group:
    problem = ""
    for position, pattern in enumerate(patterns):
        several = [names[number] for number in members[pattern]]
        if len(several) > 1:
            problem = f"{len(several)} files are called {pattern}: {', '.join(several[:4])}"
        elif not several and position < len(patterns) - optional:
            problem = problem or f"no file is called {pattern}"
    first = tuple(members[pattern][0] if members[pattern] else None for pattern in patterns)
    return Group(name, folder, first, problem)


def _best(patterns: Sequence[str], name: str) -> str | None:
    """The pattern that a name matches; of several the longest, as `T1c*` says more than `T1*`."""
    return max((one for one in patterns if matches(one, name)), key=len, default=None)


def _rest(pattern: str, name: str) -> str:
    """A name without the words of its channel."""
    words = re.findall(r"[^\W_]+|[\W_]+", name)
    wanted = _words(plain_name(pattern).casefold())
    for start in range(len(words)):
        taken = [word.casefold() for word in words[start : start + 2 * len(wanted) - 1 : 2]]
        if taken == wanted:
            return "".join(words[:start] + words[start + 2 * len(wanted) - 1 :]).strip("_-. ")
    return name


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", text) if word]
