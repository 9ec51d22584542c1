"""How any job writes what it found: folders, tables, figures, pages."""
