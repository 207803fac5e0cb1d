"""The tasks of `<project>.control`: plan a pass, and leave rows for people to look at.

Starts runs of the other DAGs; changes nothing in Astro or Git itself.
"""
