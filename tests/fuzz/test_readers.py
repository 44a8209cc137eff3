"""Every reader takes changed files and noise: it reads them, or says why not."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.reader import MAX_BYTES, Reader
from fuzz.readers import NAMES, load
from fuzz.run import next_input

SECONDS = 30.0  # of the processor, on a machine however busy


def read(reader: Reader, data: bytes) -> list[str]:
    start = time.process_time()
    with TemporaryDirectory() as folder:
        try:
            said = list(reader.read(data, Path(folder)))
        except reader.errors as error:
            said = [str(error)]
            assert said[0]
    assert time.process_time() - start < SECONDS
    return said


@pytest.mark.parametrize("name", NAMES)
def test_its_seeds_are_read(name: str) -> None:
    reader = load(name)
    seeds = list(reader.seeds())
    assert all(len(seed) <= MAX_BYTES for seed in seeds)
    assert any(not read(reader, seed) for seed in seeds)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(number=st.integers(0, 2**32))
def test_changed_files(name: str, number: int) -> None:
    reader = load(name)
    seeds = list(reader.seeds())
    read(reader, next_input(Random(number), reader, seeds, seeds))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=400))
def test_noise(name: str, data: bytes) -> None:
    read(load(name), data)
