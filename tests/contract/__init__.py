"""Product and sandbox held to what others say of the far side: GitHub's own description of its API."""
