"""The keys themselves, read and made. No page and no answer may import this."""
