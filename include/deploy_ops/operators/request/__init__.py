"""The tasks of `<project>.<target>.request`: show what a release would change, ask a person, hand on the answer.

A waiting request claims nothing and deploys nothing.
"""
