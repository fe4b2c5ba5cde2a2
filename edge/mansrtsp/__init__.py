"""MANSRTSP: play, pause and seek in an INFO (GB/T 28181-2016 annex B)."""
