"""Starts the sandbox and Airflow as one stack and plays the tour; drives both by their public faces only."""
