"""What GitHub is told of each environment: comments, commit statuses, GitHub Deployments, within its limits.

Made of rows (`core/view`) alone. Sends nothing: `operators/feedback` does.
"""
