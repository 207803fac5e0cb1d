"""What of Airflow's own behaviour we rely on, or have to live with, held to Airflow's own code."""
