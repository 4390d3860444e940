"""Reverse SSH tunnels between PrestaShop stores and the integrations that need their webservice."""

__version__ = "0.1.0"
