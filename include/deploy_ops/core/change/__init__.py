"""Two trees → what a deploy must carry, and for which path; what a ref that a person typed may mean.

Reads no repository: trees are handed in, level by level. Knows nothing of Deployments.
"""
