"""Peers that we did not write, at both ends of the box. Each file has a street or addresses of its own."""
