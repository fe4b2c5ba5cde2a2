"""One file a step. What ``tables`` says and what these make is the same: a test holds them together."""
