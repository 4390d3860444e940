"""What the server counts, for Prometheus: families, a collector that reads plain numbers at scrape time, health."""
