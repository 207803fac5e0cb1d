"""Values: examples, generated ones, and restatements short enough to be believed. No Airflow, no sandbox."""
