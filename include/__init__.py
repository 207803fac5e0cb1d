"""The Astro project's include folder, importable because AIRFLOW_HOME is on the path."""
