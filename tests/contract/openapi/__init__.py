"""A judge of requests and answers by an OpenAPI document; whose document that is, its neighbours say."""
