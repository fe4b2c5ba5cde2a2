"""What the box says of itself to monitoring that the owner or the city runs."""
