"""The tasks of every DAG: each operator does one step, says in one log line what it did and why, safe to repeat.

Here stands what several DAGs share, below it a folder per kind of DAG. Nothing is decided here: `core` does.
"""
