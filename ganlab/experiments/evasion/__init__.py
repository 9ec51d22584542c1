"""evasion."""
