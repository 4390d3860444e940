"""Both programs, from their packages, under a systemd that has booted."""
