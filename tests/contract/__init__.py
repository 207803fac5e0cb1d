"""Contract tests: hooks and sandbox held to what others say of GitHub, Astro and image registries."""
