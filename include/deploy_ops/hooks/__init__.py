"""The boundaries with GitHub, Astro, image registries and Git; no decision is taken here."""
