"""Doubles of what stands outside: Airflow, GitHub, Astro, a Git host, a registry, and ways in which they go wrong."""
