"""What sets a strategy apart from the one it is measured against."""
