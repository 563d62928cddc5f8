"""/docs: Swagger UI from a package's own files, and the OpenAPI document made from the handlers."""
