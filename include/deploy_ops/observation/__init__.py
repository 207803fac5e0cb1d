"""Reading the world for a decision: repository, workspace, circumstances, and what is checked right before an act.

Reads only, by hooks and run state; what it finds is handed to `core`. Writes nothing outside.
"""
