"""Running commands: an allow-listed environment, a time limit, private folders, and secrets kept out of what is said.

Knows no particular command: the Astro CLI is `hooks/astro`, Git and checks are `checkout`.
"""
