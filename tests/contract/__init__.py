"""Product and sandbox held to what others say: GitHub's own description, the distribution specification, skopeo."""
