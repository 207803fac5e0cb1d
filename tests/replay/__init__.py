"""Tests, mirroring the folder they are named after."""
