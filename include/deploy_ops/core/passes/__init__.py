"""One pass as values: what was read, what follows from it, and what would follow under another policy.

Reads nothing, writes nothing, and knows no clock: a pass can be decided again, hours later and elsewhere.
"""
