"""modelwatch."""
