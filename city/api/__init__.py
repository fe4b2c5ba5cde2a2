"""What boxes, concentrators and consoles ask over HTTPS: read, ask the registry, answer. Nothing is decided here."""
