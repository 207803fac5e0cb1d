"""The product's requests and the sandbox's answers against GitHub's OpenAPI description."""
