"""The sandbox's registry, and the product's copy, held to the distribution specification and to Debian's skopeo."""
