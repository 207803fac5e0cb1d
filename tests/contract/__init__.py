"""Product and sandbox held to what others say: GitHub, Astro, the distribution specification, skopeo."""
