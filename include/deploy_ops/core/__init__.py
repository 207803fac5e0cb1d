"""Decides: values, names, rules and comparisons, by subject. Everything here is pure and the same each time.

No Airflow, no network, no subprocess, no clock: `now` is an argument. What is observed is handed in, what is decided is
returned; nothing here acts. Subjects build on one another in one order (pyproject.toml), never in a circle.
"""
