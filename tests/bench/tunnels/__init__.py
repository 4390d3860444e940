"""The same work through several tunnels, side by side: ``make bench`` and ``make bench-wan``."""
