"""The requests of product and stand-in, and the sandbox's answers, against what Astro says of its v1 API."""
