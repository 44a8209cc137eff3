"""Hostile input for every reader: small valid files, changed at random, and what the readers make of them.

`python -m fuzz READER` runs it; `docs/reliability.md` says what was run and what was found.
"""
