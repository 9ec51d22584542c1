"""Is a set of reals and fakes a fair one? What files, pixels and copies say beside the generator."""
