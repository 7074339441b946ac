"""Methods added by their users."""
