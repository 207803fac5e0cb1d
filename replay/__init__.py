"""Kept passes decided again, on whatever machine: fetched from Airflow into a file, and read out of it offline.

It starts nothing, and asks nobody but Airflow, for what control kept there.
"""
