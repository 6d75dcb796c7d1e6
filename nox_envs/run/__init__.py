"""Running a cell: the tree it works in."""
