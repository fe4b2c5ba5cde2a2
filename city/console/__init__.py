"""The console's pages (zh-CN, English): ask, show, explain. The same rules as the box's own pages."""
