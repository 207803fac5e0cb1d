"""GitHub's REST resources, one module each: a handler per request, and the table of its routes."""
