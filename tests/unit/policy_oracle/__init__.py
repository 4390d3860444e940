"""What PHP and PrestaShop make of a request, asked from PHP itself."""
