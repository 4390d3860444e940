"""The control API: FastAPI on the admin Unix socket."""
