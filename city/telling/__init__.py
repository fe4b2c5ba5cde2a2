"""Alerts on their way out: a webhook's request, a line of syslog. Each tries once, within seconds, and says how it went."""
