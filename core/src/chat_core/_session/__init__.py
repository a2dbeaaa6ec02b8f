"""What a chat session is: order, completeness, outcomes, saved state. Knows no wire and no socket."""
