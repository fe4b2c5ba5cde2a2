"""What the city keeps: tables, and the rules by which they change. Nobody else writes SQL."""
