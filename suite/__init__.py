"""The command line of the suite. Start it with `suite`, or `python -m suite`."""
