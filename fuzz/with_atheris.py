"""`python -m fuzz.with_atheris READER FOLDER [OPTIONS]`: the same readers under atheris.

FOLDER is the corpus: it gets the seeds if it is empty, and atheris adds inputs that reach new code. OPTIONS
are those of libFuzzer, such as `-runs=100000`, `-max_total_time=600` or `-artifact_prefix=found/`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from .reader import MAX_BYTES

MISSING = "atheris is not installed (pip install atheris); python -m fuzz needs nothing but the suite"


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        atheris = import_module("atheris")
    except ImportError:
        print(MISSING, file=sys.stderr)
        return 2
    name, corpus = sys.argv[1], Path(sys.argv[2])
    with atheris.instrument_imports(include=["apps", "pipelines", "suite"]):
        from .readers import load

        reader = load(name)
    from .containers import changed_within

    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for number, seed in enumerate(reader.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)

    with TemporaryDirectory() as folder:

        def one_input(data: bytes) -> None:
            try:
                reader.read(data, Path(folder))
            except reader.errors:
                return

        def mutator(data: bytes, most: int, seed: int) -> bytes:
            """libFuzzer's own changes, made within containers where the input is one."""

            def change(part: bytes) -> bytes:
                return bytes(atheris.Mutate(part, max(len(part), 64)))

            return (changed_within(Random(seed), data, change) or bytes(atheris.Mutate(data, most)))[:most]

        options = [sys.argv[0], str(corpus), f"-max_len={MAX_BYTES}", "-timeout=10", *sys.argv[3:]]
        atheris.Setup(options, one_input, custom_mutator=mutator)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
