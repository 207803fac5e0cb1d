"""The policy file: its keys, the values they take, and the rules between them, with errors that name key and fix.

Text comes in, frozen values come out. Reads no file, and knows nothing of Airflow's connections behind the names.
"""
