"""What the doctor says: from facts about GitHub, Astro, registries, templates and this Airflow to checks with advice.

Pure; what reads the facts is `observation/doctor/`.
"""
