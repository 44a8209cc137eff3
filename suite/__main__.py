"""`python -m suite` is `suite`."""

from __future__ import annotations

from suite.cli import main

main()
