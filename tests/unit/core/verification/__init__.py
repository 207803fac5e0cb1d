"""Tests of the verdict on what was deployed."""
