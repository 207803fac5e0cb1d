"""The tasks of `<project>.feedback`: tell GitHub what the rows say, within its limits.

Reads rows only; what goes wrong here stops no deploy.
"""
