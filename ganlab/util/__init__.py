"""Small things every room needs: atomic files, progress, hashing, seeds. No torch."""
