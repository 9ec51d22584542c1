"""Published experiments and claims of the field, each by name: measured, drawn and judged."""
