"""GitHub's REST API: refs, pull requests, Git objects, and what people are told there.

Decides nothing. A failed or incomplete answer is an error, never an empty list; no write is repeated blindly.
"""
