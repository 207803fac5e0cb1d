"""What waits in the triggerer: a repository that may change, a deploy that shall settle. They wake, tasks decide."""
