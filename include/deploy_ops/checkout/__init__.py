"""A commit's files in a folder of ours, and what is checked in them before they are deployed.

Runs none of the branch's code, and does not deploy: `operators/deploy` does.
"""
