"""The tasks of `<project>.promotion`: derive the deploy branch's tree, and make at most one commit of it.

Never forces a ref, and never merges.
"""
