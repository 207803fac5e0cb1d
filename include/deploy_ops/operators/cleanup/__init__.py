"""The tasks of `<project>.cleanup` and of `orphans`: find what nobody uses, ask where people must say yes, remember it.

Cleanup deletes nothing itself: control acts on what is remembered. `orphans` deletes only what a person approved.
"""
