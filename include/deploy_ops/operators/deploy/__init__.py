"""The tasks of a preview's and a target's DAG: change type, template, image, Deployment, deploy, settle, merge, adopt.

Each acts on the environment that its run has claimed, and looks again right before it writes.
"""
