"""Stages: the real tasks on the real sandbox, one by one, with people and trouble played."""
