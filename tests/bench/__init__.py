"""Tests of what the measurements decide without measuring; the measurements themselves are made by hand."""
