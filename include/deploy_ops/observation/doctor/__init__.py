"""Reads the facts that the doctor judges, a file for each area; writes nothing, and starts nothing that writes.

What cannot be read is a fact as well: the check is then not known, and says what a refusal would look like.
"""
