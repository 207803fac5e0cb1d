"""The tasks of `<project>.template`: inspect production, compare it with trunk's template, propose what changed.

Never merges, and never touches a branch of which somebody else wrote the tip.
"""
