"""GitHub's JSON objects, with the fields that its OpenAPI description requires. Reads Git; changes nothing."""
