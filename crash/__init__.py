"""Runs that are killed, interrupted or run out of space at random moments, and what their folders hold.

`python -m crash TASK` runs it; `docs/reliability.md` says what was run and what was found.
"""
