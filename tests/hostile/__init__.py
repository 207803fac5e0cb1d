"""Attacks of whoever may push a branch, or answers in another's place; each test asserts what did not happen."""
