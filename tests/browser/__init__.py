"""The Deploys page in a real browser, its files served as Airflow serves them, Airflow's answers played."""
