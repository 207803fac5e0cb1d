"""A whole project lives long, under people and faults at once: `python -m tests.chaos`."""
