"""What frames every board: floors, ceilings, and what needs no learning."""
