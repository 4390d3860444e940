"""Tables, migrations and the embedded database."""
