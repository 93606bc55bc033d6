"""The description of every JSON route, which /openapi.json and /docs are made of. It does nothing by itself."""
