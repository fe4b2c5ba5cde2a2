"""A change that goes to many sites, ring by ring, and halts by itself: the table of its states, and its rings. Pure."""
