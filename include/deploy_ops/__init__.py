"""Deploy Ops: keeps Astro Deployments equal to Git, as Airflow DAG runs.

The layers, lowest first: values and errors; policy, names, change type and template; desired state and planner;
processes; hooks and the container engine; triggers and operators. Each imports only lower ones.
"""
