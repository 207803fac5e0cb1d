"""Long-lived targets: what they should run, what a release needs, and when a deploy has settled.

Targets are known by name, never marked and never deleted.
"""
