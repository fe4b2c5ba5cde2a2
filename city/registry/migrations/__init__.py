"""How the tables came to be, step by step (alembic); ``store.migrate`` runs what is missing."""
