"""Pictures made larger and smaller, whole or region by region, with the same bytes."""
