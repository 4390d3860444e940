"""The control API's paths under ``/v1``. Nothing is decided here: operations do, this translates."""
