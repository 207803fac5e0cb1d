"""Whatever of Airflow, its database or its queue dies or is lost while runs are in flight: how soon they go on.

`make faults` runs it, by hand: a whole Airflow on PostgreSQL and Celery, one fault after the other, and one table. It
fails where anything was done twice, got lost, or goes on later than is said.
"""
