"""Is a set of reals and fakes a fair one: findings, a table, a page."""
