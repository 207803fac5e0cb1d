"""Tests of the sandbox's GitHub."""
