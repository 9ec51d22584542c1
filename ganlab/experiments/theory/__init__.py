"""``ganlab theory``: what the fixed x2 operators do by theory alone."""
