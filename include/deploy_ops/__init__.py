"""Deploy Ops: keeps Astro Deployments equal to Git, as Airflow DAG runs.

Layers, lowest first: `core` decides; `process` runs commands; `hooks`, `checkout`, `engine` and `run` reach the outside
and Airflow; `observation` and `triggers` read for a decision; `operators` act. Each imports only lower ones.
"""
