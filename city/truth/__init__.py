"""How each site is: a verdict from what its box says, what the concentrators see of it, and what it last proved. Pure."""
