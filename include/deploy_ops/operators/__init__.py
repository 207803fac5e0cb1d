"""The tasks of every DAG: each operator does one step, says in one log line what it did and why, safe to repeat."""
