"""A run's own state: what it was started to do, what it holds, what is remembered between runs, how it ended.

Talks to Airflow alone; asks neither GitHub nor Astro.
"""
