"""The deploy branch: which tree open pull requests give, the commit's message, and whether one is due.

Writes no Git object: edits are values that `hooks/github` sends.
"""
