"""The control API, asked whatever its own OpenAPI document allows, and more."""
