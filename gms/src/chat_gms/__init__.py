"""The vocabulary of Genesys GMS Chat v2."""
