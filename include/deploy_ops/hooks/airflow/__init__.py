"""The boundary with a Deployment's own Airflow: reads what it parsed and what it could not import.

Whoever may push a branch answers here in a preview's place, and sees what a request carries: the token opens nothing
else, goes nowhere else, and what comes back is bounded text.
"""
