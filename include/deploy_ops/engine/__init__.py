"""The container engines that the Astro CLI is shown: one that copies an image, one that builds with the real one.

They answer what the CLI asks of Docker or Podman for `astro deploy` and no more, and let it log in nowhere.
"""
