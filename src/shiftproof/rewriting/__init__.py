"""What would hold if one cause were removed: programs rewritten, verified, and the cheapest repair."""
