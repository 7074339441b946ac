"""What every room stands on: errors, files, and how a room finds what is in it."""
