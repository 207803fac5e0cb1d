"""What nobody uses: when a preview hibernates or goes, which Deployments are oddities or orphans, and how that is told.

Only decides: verdicts are remembered by `operators/cleanup`, and acted on by control.
"""
