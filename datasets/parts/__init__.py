"""What two or more datasets share: readers of file formats."""
