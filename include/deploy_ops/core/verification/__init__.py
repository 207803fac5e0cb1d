"""Whether what was deployed works, as its own Airflow tells. Pure.

A deploy that settled is live, which is not the same: here nothing counts as proven because nothing was heard.
"""
